"""trend: a metric over the commits of a branch, from what git has of each."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lmspec.compare import stale
from lmspec.compare.report import Better, Interval, Verdict
from lmspec.compare.revision import Fault, Revision, number
from lmspec.errors import LmspecError
from lmspec.history import commits, step
from lmspec.history.commits import Commit, Files
from lmspec.history.metric_lookup import Name
from lmspec.history.step import Step
from lmspec.pipeline import paths


@dataclass(frozen=True)
class Point:
    """A metric at a commit.

    value       None if the commit does not have it
    interval    95 %; both ends the value itself where it is exact; None if nothing tells it
    verdict     against the commit `before`, the one before it that has it; `new` if none has
    difference  to that commit, on the examples that both have
    """

    commit: Commit
    value: float | None
    interval: Interval | None
    verdict: Verdict
    before: str | None = None
    difference: float | None = None
    p: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Course:
    """points: newest first; notes: where it begins, and what was left out."""

    metric: str
    better: Better | None
    points: tuple[Point, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """value: None for a reason. absent: it is not there, and nothing is broken."""

    value: float | None
    reason: str | None = None
    absent: bool = False


def course(name: Name, line: list[Commit], files: Files, most: int, everything: bool) -> Course:
    """Of one metric. line: newest first; everything: with the commits at which its file did not change."""
    return _Line(name, line, files).course(most, everything)


class _Line:
    """changes: commits at which the metric's file changed, newest first, down to the first that has it.

    better  as the newest of the commits that are shown declares it: older ones may have no direction on record
    """

    def __init__(self, name: Name, line: list[Commit], files: Files) -> None:
        self.better: Better | None = None
        self.name, self.line, self.files = name, line, files
        self.file = paths.metrics(name.artifact)
        changed = set(commits.touching(line[0], self.file, files.root))
        self.changes = [commit for commit in line if commit.hash in changed]
        while self.changes and self.reading(self.changes[-1]).absent:
            self.changes.pop()

    def course(self, most: int, everything: bool) -> Course:
        """The newest of them, or of all commits."""
        rows = (
            self.line[: self.line.index(self.changes[-1]) + 1]
            if everything and self.changes
            else self.changes
        )
        have = set(self.changes)
        self.better = next((way for commit in rows[:most] if (way := self._better(commit))), None)
        points = [
            self.point(commit) if commit in have else self._unchanged(commit)
            for commit in rows[:most]
        ]
        return Course(
            str(self.name), self.better, tuple(points), tuple(self._notes(points, len(rows)))
        )

    @functools.cache  # noqa: B019 - it lives as long as its command
    def reading(self, commit: Commit) -> Reading:
        """What the commit's own file says."""
        try:
            values: Mapping[str, Any] | Fault = self.files.revision(commit).metrics(
                self.name.artifact
            )
        except LmspecError as error:
            return Reading(None, error.found)
        if isinstance(values, Fault):
            return Reading(
                None, values.reason, absent=self.file not in self.files.revision(commit).tree.ids
            )
        found: Any = values
        for place, key in enumerate(self.name.path):
            if not isinstance(found, dict) or key not in found:
                return Reading(
                    None, f"{self.file} has no {'.'.join(self.name.path[: place + 1])}", absent=True
                )
            found = found[key]
        return (
            Reading(found)
            if number(found) is not None
            else Reading(None, f"its value is {found!r}, no number")
        )

    @functools.cache  # noqa: B019
    def point(self, commit: Commit) -> Point:
        """Of a commit at which the file changed."""
        reading = self.reading(commit)
        if reading.value is None:
            return Point(commit, None, None, "missing", reason=reading.reason)
        older = self.changes[self.changes.index(commit) + 1 :]
        before = next((other for other in older if self.reading(other).value is not None), None)
        found = Step("new") if before is None else self._step(before, commit)
        interval = self._interval(self.files.revision(commit), reading.value)
        self.files.forget()
        short = before.short if before else None
        return Point(
            commit,
            reading.value,
            interval,
            found.verdict,
            short,
            found.difference,
            found.p,
            found.reason,
        )

    def _step(self, before: Commit, commit: Commit) -> Step:
        values = self.reading(before).value or 0.0, self.reading(commit).value or 0.0
        try:
            late = self._late(commit, before)
            return step.step(
                self.files.revision(before),
                self.files.revision(commit),
                self.name,
                values,
                late,
                self.better,
            )
        except LmspecError as error:
            return Step(
                "not comparable", values[1] - values[0], reason=f"{error.place}: {error.found}"
            )

    def _late(self, *commits: Commit) -> str | None:
        """Why the metrics of one of them are not of its own spec and code."""
        found = ((commit, self.files.stale(commit).get(self.name.artifact)) for commit in commits)
        return next((f"stale in {commit.short}: {why}" for commit, why in found if why), None)

    def _interval(self, revision: Revision, value: float) -> Interval | None:
        try:
            return step.interval(revision, self.name, value)
        except LmspecError:  # its params.yaml does not parse: the verdict says so
            return None

    def _unchanged(self, commit: Commit) -> Point:
        """Its file is that of the next older commit at which it changed."""
        later = self.line.index(commit)
        older = next(other for other in self.changes if self.line.index(other) > later)
        point = self.point(older)
        if point.value is None:
            return replace(point, commit=commit)
        try:
            late = self._late(commit, older)
        except LmspecError as error:
            late = f"{error.place}: {error.found}"
        return Point(
            commit,
            point.value,
            point.interval,
            "not comparable" if late else "same",
            older.short,
            0.0,
            reason=late,
        )

    def _better(self, commit: Commit) -> Better | None:
        try:
            return step.direction(self.files.revision(commit), self.name)
        except LmspecError:
            return None

    def _notes(self, points: list[Point], rows: int) -> Iterator[str]:
        """Where it begins, what is not shown, what was not checked."""
        root, oldest = self.files.root, self.line[-1]
        if rows > len(points):
            yield f"{rows - len(points)} older commits are not shown: `--max-count` shows more"
        if not self.changes:
            yield "no commit of this branch has it"
        elif self.changes[-1] != oldest:
            begin = self.changes[-1]
            yield f"it begins at {begin.short} ({begin.day}); a name that it had before is not followed"
        elif commits.cut_off(oldest, root):
            yield f"this clone is shallow and ends at {oldest.short}: `git fetch --unshallow` gets what came before"
        yield from commits.unchecked(
            sum(stale.unknown(self.files.revision(point.commit)) for point in points)
        )
