"""runs: what ran on this machine: when, how long, its peak memory, and the curves of trainings."""

import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lmspec.methods import curves
from lmspec.methods.curves import Row
from lmspec.pipeline import durations
from lmspec.run import declaration, recorder

RUNNING, KILLED = "running", "killed"  # beside the states of run/recorder.py


@dataclass(frozen=True)
class Run:
    """A run of a stage.

    ended       seconds since 1970; None while it runs, and for runs of earlier versions
    status      built, failed, stopped, killed or running
    seconds     of its last process, if it was stopped and went on
    peak_mib    None unless it was built
    resumed_at  step at which that process went on
    folder      where its curves are; None if it trained nothing
    """

    stage: str
    ended: float | None
    status: str
    seconds: float
    machine: str
    peak_mib: float | None = None
    resumed_at: float | None = None
    folder: Path | None = None

    @cached_property
    def _rows(self) -> list[Row]:
        return curves.rows(self.folder / recorder.LINES) if self.folder else []

    @cached_property
    def curves(self) -> dict[str, list[Row]]:
        """Training -> its steps and evaluations."""
        return curves.curves(self._rows)

    @property
    def evaluations(self) -> list[Row]:
        """Of its first training; a stage has one for each seed."""
        first = next(iter(self.curves.values()), [])
        return [row for row in first if row["event"] == curves.EVALUATION]

    @property
    def metric(self) -> str:
        """The column of an evaluation that decides which one is the best; may be empty."""
        named = (str(row["metric"]) for row in self._rows if "metric" in row)
        return next(named, "")

    @property
    def progress(self) -> tuple[int, int] | None:
        """Steps done, and in all, of the training that it was last at."""
        steps = {curves.name_of(row): row["steps"] for row in self._rows if "steps" in row}
        if not steps or not self.curves:
            return None
        name = list(self.curves)[-1]
        return int(self.curves[name][-1]["step"]), int(steps.get(name, 0))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        values.pop("curves", None)
        folder = self.folder.as_posix() if self.folder else None
        return values | {"folder": folder, "metric": self.metric or None, "curves": self.curves}


def stages(root: Path) -> list[str]:
    """Those that ran here."""
    folder = root / durations.FOLDER
    names = {path.stem for path in folder.glob("*.jsonl")}
    return sorted(names | {path.name for path in folder.glob("*") if path.is_dir()})


def newest(root: Path, most: int) -> list[Run]:
    """The newest runs of each stage, the newest of all first."""
    found = [run for stage in stages(root) for run in of(root, stage)[:most]]
    return sorted(found, key=_when, reverse=True)


def of(root: Path, stage: str) -> list[Run]:
    """Runs of a stage, newest first."""
    place = root / durations.FOLDER / stage
    noted = list(_noted(place))
    known = {run.folder for run in noted}
    folders = sorted(place.iterdir()) if place.is_dir() else []
    others = [_unfinished(root, folder) for folder in folders if folder not in known]
    return sorted([*noted, *filter(None, others)], key=_when, reverse=True)


def _when(run: Run) -> float:
    if run.status == RUNNING:
        return float("inf")
    return run.ended or 0.0


def _noted(place: Path) -> Iterator[Run]:
    for row in durations.noted(place.with_name(f"{place.name}.jsonl")):
        name = row.get("run")
        yield Run(
            place.name,
            _number(row.get("ended")),
            recorder.BUILT,
            float(row["seconds"]),
            str(row["machine"]),
            _number(row.get("peak_mib")),
            _number(row.get("resumed_at")),
            place / str(name) if name else None,
        )


def _unfinished(root: Path, folder: Path) -> Run | None:
    """A run that is in no log: of its file alone is known what became of it."""
    lines = folder / recorder.LINES
    rows = curves.rows(lines)
    if not rows:
        return None
    starts = [row for row in rows if row["event"] == curves.START]
    last, begin = rows[-1], (starts or rows)[-1]
    status = str(last.get("status", ""))
    if last["event"] != curves.END:
        status = RUNNING if _is_running(root, folder) else KILLED
    return Run(
        folder.parent.name,
        None if status == RUNNING else float(last["time"]),
        status or KILLED,
        round(last["time"] - begin["time"], 3),
        "",
        resumed_at=begin.get("step") or None,
        folder=folder,
    )


def _is_running(root: Path, folder: Path) -> bool:
    """Does a process hold the lock of the stage, and is this its newest run?"""
    if folder != max(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime):
        return False
    try:
        with (root / declaration.OURS / "lock" / folder.parent.name).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def as_json(found: list[Run]) -> str:
    """A list, as `of` orders it."""
    return json.dumps([run.as_dict() for run in found], indent=1)
