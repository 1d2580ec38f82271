"""durations: how long a stage took before, and about how long it will take."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lmspec.run import interpreter

FOLDER = Path(".lmspec/runs")
LAST = 5  # runs that count: the code and the data of older ones were others


@dataclass(frozen=True)
class Run:
    """One run of a stage. machine: see `environment.machine`; peak_mib: the most memory it held, in MiB."""

    seconds: float
    machine: str
    peak_mib: float


@dataclass(frozen=True)
class Expected:
    """Seconds that a stage will take, and the machine that this was measured on. here: is it this one?"""

    seconds: float
    machine: str
    here: bool


def runs(root: Path, stage: str) -> list[Run]:
    """What .lmspec/runs holds of a stage, oldest first. A line that a crash cut off, or of another form, counts nothing."""
    path = root / FOLDER / f"{stage}.jsonl"
    return (
        list(_parsed(path.read_text(encoding="utf-8", errors="replace"))) if path.exists() else []
    )


def _parsed(text: str) -> Iterator[Run]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
            yield Run(float(row["seconds"]), str(row["machine"]), float(row["peak_mib"]))
        except (ValueError, KeyError, TypeError):
            continue


def expected(root: Path, stage: str) -> Expected | None:
    """The median of the stage's last runs on this machine; if there is none, on the machine of the newest. None: never timed."""
    known = runs(root, stage)
    if not known:
        return None
    here = interpreter.machine()
    on = here if any(run.machine == here for run in known) else known[-1].machine
    seconds = [run.seconds for run in known if run.machine == on][-LAST:]
    return Expected(statistics.median(seconds), on, on == here)


def about(seconds: float) -> str:
    """A duration as one says it: no more digits than a guess deserves."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 100:
        return f"about {seconds:.0f} s"
    if seconds < 100 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
