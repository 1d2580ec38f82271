"""curves: what a training tells of itself while it runs: lines of JSON, written and read here.

Standard library only: the supervisor of a stage reads them.
"""

import contextlib
import json
import math
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

VARIABLE = "LMSPEC_PROGRESS"  # a stage's file for them; without it nothing is written
START, STEP, EVALUATION, END = "start", "step", "evaluation", "end"
NAME = re.compile(r"\w[\w.-]{0,59}", re.ASCII)  # of a value, and of a text that is one
MOST_VALUES, LONGEST_LINE = 60, 4000

Row = dict[str, Any]


class Writer:
    """Appends lines to the file of this stage. What cannot be written is left out."""

    def __init__(self, path: str | None = None) -> None:
        self.path = path if path is not None else os.environ.get(VARIABLE, "")

    @property
    def run(self) -> str:
        """Name of this run of the stage; empty if there is no file."""
        return Path(self.path).stem

    def write(self, event: str, **values: float | str) -> None:
        """Add a line: what happened, when (seconds since 1970), and numbers."""
        if not self.path:
            return
        line = json.dumps({"event": event, "time": round(time.time(), 3), **values})
        with contextlib.suppress(OSError), open(self.path, "a", encoding="utf-8") as stream:  # noqa: PTH123 - may be ""
            stream.write(f"{line}\n")


def parsed(line: bytes | str) -> Row | None:
    """A line of such a file; None if it is none. Values that are no numbers or names are left out.

    A stage may write there what it likes, and others show it.
    """
    if len(line) > LONGEST_LINE:
        return None
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.get("event") not in (START, STEP, EVALUATION, END):
        return None
    row = {
        name: value for name, value in values.items() if NAME.fullmatch(name) and _is_plain(value)
    }
    has_time = isinstance(row.get("time"), int | float)
    return row if has_time and len(row) <= MOST_VALUES else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return NAME.fullmatch(value) is not None
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 2**63


def rows(path: Path) -> list[Row]:
    """All lines of a file; none if there is no file."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [row for row in map(parsed, lines) if row is not None]


def curves(every: Iterable[Row]) -> dict[str, list[Row]]:
    """Training -> its steps and evaluations in order. A training that went on from a checkpoint has
    those before it from its former run, and none twice."""
    found: dict[str, list[Row]] = {}
    for row in every:
        curve = found.setdefault(name_of(row), [])
        if row["event"] == START:
            curve[:] = [one for one in curve if one["step"] <= row.get("step", 0)]
        elif row["event"] in (STEP, EVALUATION) and "step" in row:
            curve.append(row)
    return {name: curve for name, curve in found.items() if curve}


def name_of(row: Row) -> str:
    """The training that a line is about: a stage has one for each seed."""
    return str(row.get("curve", ""))


def numbers(row: Row) -> dict[str, float]:
    """What trackers plot of a line: `dev_accuracy` is `dev/accuracy` there."""
    own = ("event", "time", "curve", "step", "steps")
    return {
        re.sub("^(dev|train)_", r"\1/", name): value
        for name, value in row.items()
        if name not in own and not isinstance(value, str)
    }
