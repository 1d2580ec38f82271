"""trend: the values of a metric over the commits of a branch, with a verdict at each change."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lmspec.compare import out_of_date
from lmspec.compare.artifact import Artifact
from lmspec.compare.report import Better, Interval, Verdict
from lmspec.compare.revision import Unavailable, at, number
from lmspec.errors import LmspecError
from lmspec.history import commits, metric_lookup, step
from lmspec.history.commits import Commit, Files
from lmspec.history.step import Step
from lmspec.specs.names import MetricName


@dataclass(frozen=True)
class Point:
    """A metric at a commit.

    value       None if the commit lacks it
    interval    95 %; (value, value) of an exact metric; None if the spread is not known
    verdict     against `before`; `new` at the first commit that has the metric
    before      short hash of the previous commit that has it
    difference  to that commit, on their common examples
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
class Trend:
    """points: newest first; notes: where the metric begins, and what was left out."""

    metric: str
    better: Better | None
    points: tuple[Point, ...]
    notes: tuple[str, ...]


def trends(metric: str | None, branch: str, root: Path, most: int, unchanged: bool) -> list[Trend]:
    """The newest values of a metric, or of every metric of the gates.

    most       number of points of each
    unchanged  include the commits that did not change the metric's file
    """
    line = commits.line(branch, root)
    with Files(root) as files:
        names = (
            [metric_lookup.metric(metric, line, files)]
            if metric
            else metric_lookup.of_gates(line, files)
        )
        return [_MetricHistory(name, line, files).trend(most, unchanged) for name in names]


@dataclass(frozen=True)
class _Reading:
    """value: None for a reason; absent: the file or the metric is not there."""

    value: float | None
    reason: str | None = None
    absent: bool = False


class _MetricHistory:
    """changes: commits that changed the metric's file, newest first, down to the first to have it.

    better  as declared at the newest commit shown that declares it
    """

    def __init__(self, name: MetricName, line: list[Commit], files: Files) -> None:
        self.name, self.line, self.files = name, line, files
        self.revision = files.revision
        self.better: Better | None = None
        self.file = name.artifact.metrics
        self.reading = functools.cache(self._reading)
        self.changed = functools.cache(self._changed)
        hashes = set(commits.touching(line[0], self.file, files.root))
        self.changes = [commit for commit in line if commit.hash in hashes]
        while self.changes and self.reading(self.changes[-1]).absent:
            self.changes.pop()

    def trend(self, most: int, unchanged: bool) -> Trend:
        """The newest points."""
        rows = self.changes
        if unchanged and self.changes:
            rows = self.line[: self.line.index(self.changes[-1]) + 1]
        shown = rows[:most]
        self.better = next(filter(None, map(self._direction, shown)), None)
        points = [
            self.changed(commit) if commit in self.changes else self._unchanged(commit)
            for commit in shown
        ]
        notes = tuple(self._notes(points, len(rows)))
        return Trend(str(self.name), self.better, tuple(points), notes)

    def _reading(self, commit: Commit) -> _Reading:
        """The metric in the commit's own file."""
        revision, path = self.revision(commit), self.name.path
        try:
            metrics = revision.metrics(str(self.name.artifact))
        except LmspecError as error:
            return _Reading(None, error.found)
        if isinstance(metrics, Unavailable):
            return _Reading(None, metrics.reason, absent=self.file not in revision.tree.ids)
        section = at(metrics, path[:-1])
        if not isinstance(section, Mapping) or path[-1] not in section:
            return _Reading(None, f"{self.file} has no {'.'.join(path)}", absent=True)
        value = section[path[-1]]
        if value is None and (
            reason := Artifact(revision, str(self.name.artifact)).no_example(path)
        ):
            return _Reading(None, reason)
        if number(value) is None:
            return _Reading(None, f"its value is {value!r}, not a number")
        return _Reading(value)

    def _changed(self, commit: Commit) -> Point:
        """At a commit that changed the file."""
        reading = self.reading(commit)
        if reading.value is None:
            return Point(commit, None, None, "missing", reason=reading.reason)
        older = self.changes[self.changes.index(commit) + 1 :]
        before = next((c for c in older if self.reading(c).value is not None), None)
        moved = self._step(before, commit) if before else Step("new")
        interval = self._interval(commit, reading.value)
        short = before.short if before else None
        return Point(commit, reading.value, interval, before=short, **vars(moved))

    def _unchanged(self, commit: Commit) -> Point:
        """At a commit that left the file as the next older change had it."""
        place = self.line.index(commit)
        older = next(change for change in self.changes if self.line.index(change) > place)
        point = self.changed(older)
        if point.value is None:
            return replace(point, commit=commit)
        reason = self._out_of_date(commit, older)
        verdict: Verdict = "not comparable" if reason else "same"
        return Point(commit, point.value, point.interval, verdict, older.short, 0.0, reason=reason)

    def _step(self, before: Commit, commit: Commit) -> Step:
        values = self.reading(before).value or 0.0, self.reading(commit).value or 0.0
        revisions = self.revision(before), self.revision(commit)
        try:
            reason = self._out_of_date(commit, before)
            return step.step(*revisions, self.name, values, reason, self.better)
        except LmspecError as error:
            reason = f"{error.place}: {error.found}"
            return Step("not comparable", values[1] - values[0], reason=reason)

    def _out_of_date(self, *pair: Commit) -> str | None:
        """Why the metrics of one of them are not of its own spec and code, or that is not known."""
        try:
            for commit in pair:
                if why := self.files.out_of_date(commit).get(str(self.name.artifact)):
                    return f"out of date in {commit.short}: {why}"
        except LmspecError as error:
            return f"{error.place}: {error.found}"
        return None

    def _interval(self, commit: Commit, value: float) -> Interval | None:
        try:
            return step.interval(self.revision(commit), self.name, value)
        except LmspecError:  # its params.yaml does not parse: the verdict says so
            return None

    def _direction(self, commit: Commit) -> Better | None:
        try:
            return step.direction(self.revision(commit), self.name)
        except LmspecError:
            return None

    def _notes(self, points: list[Point], rows: int) -> Iterator[str]:
        """Where the metric begins, what is not shown, what was not checked."""
        if rows > len(points):
            yield f"{rows - len(points)} older commits are not shown: `--max-count` shows more"
        first = self.changes[-1] if self.changes else None
        if first is None:
            yield "no commit of this branch has it"
        elif first != self.line[-1]:
            yield f"it begins at {first.short} ({first.day}); renames are not followed"
        else:
            yield from commits.cut_off(first, self.files.root)
        revisions = (self.revision(point.commit) for point in points)
        yield from commits.unchecked(sum(map(out_of_date.unknown, revisions)))
