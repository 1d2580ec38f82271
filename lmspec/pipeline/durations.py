"""durations: how long a stage took, and about how long it will take."""

import contextlib
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.run import interpreter

FOLDER = Path(".lmspec/runs")
LAST = 5  # runs that count: older ones had other code and data


@dataclass(frozen=True)
class Expected:
    """How long a stage will take, measured on a machine. here: is it this one?"""

    seconds: float
    machine: str
    here: bool


def expected(root: Path, stage: str) -> Expected | None:
    """The median of its last runs here, else on the newest's machine; None if never timed."""
    every = list(noted(root / FOLDER / f"{stage}.jsonl"))
    # a training that went on from a checkpoint took longer than its last process
    runs = [(row["machine"], row["seconds"]) for row in every if not row.get("resumed")]
    if not runs:
        return None
    here = interpreter.machine()
    machines = [machine for machine, _ in runs]
    machine = here if here in machines else machines[-1]
    seconds = [seconds for of, seconds in runs if of == machine][-LAST:]
    return Expected(statistics.median(seconds), machine, machine == here)


def noted(path: Path) -> Iterator[dict[str, Any]]:
    """What the log of a stage says of each run, oldest first. Skips lines that a crash cut off."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            row = json.loads(line)
            yield row | {"seconds": float(row["seconds"]), "machine": str(row["machine"])}


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
