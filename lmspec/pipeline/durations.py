"""durations: how long a stage took, and about how long it will take."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lmspec.run import interpreter

FOLDER = Path(".lmspec/runs")
LAST = 5  # runs that count: older ones had other code and data


@dataclass(frozen=True)
class Duration:
    """One run of a stage. machine: see `interpreter.machine`."""

    seconds: float
    machine: str
    peak_mib: float


@dataclass(frozen=True)
class Expected:
    """How long a stage will take, measured on a machine. here: is it this one?"""

    seconds: float
    machine: str
    here: bool


def runs(root: Path, stage: str) -> list[Duration]:
    """The runs of a stage in .lmspec/runs, oldest first; lines that a crash cut off are skipped."""
    path = root / FOLDER / f"{stage}.jsonl"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return list(_parsed(text))


def _parsed(text: str) -> Iterator[Duration]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
            yield Duration(float(row["seconds"]), str(row["machine"]), float(row["peak_mib"]))
        except (ValueError, KeyError, TypeError):
            continue


def expected(root: Path, stage: str) -> Expected | None:
    """The median of its last runs here, else on the newest's machine; None if never timed."""
    known = runs(root, stage)
    if not known:
        return None
    here = interpreter.machine()
    machine = here if any(run.machine == here for run in known) else known[-1].machine
    seconds = [run.seconds for run in known if run.machine == machine][-LAST:]
    return Expected(statistics.median(seconds), machine, machine == here)


def about(seconds: float) -> str:
    """An estimate, with no more digits than it deserves."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 100:
        return f"about {seconds:.0f} s"
    if seconds < 100 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def measured(seconds: float) -> str:
    """A duration that was measured: `3.2 s`, `4 min 10 s`."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
