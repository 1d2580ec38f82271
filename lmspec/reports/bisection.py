"""bisection: the first commit at which a gate fails, and what it changed, as text and JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from lmspec.compare import gates, untested
from lmspec.compare.report import Metric, Report
from lmspec.errors import harmless
from lmspec.history.bisection import Bisection, FirstBadCommit, NotFound, State
from lmspec.history.commits import Commit
from lmspec.history.metric_lookup import is_about, patterns
from lmspec.reports import aligned, tables, values, words
from lmspec.specs.names import MetricName

SHOWN = 10  # commits of a merge or a range


def metrics(bisection: Bisection) -> list[Metric]:
    """Those that the gate is about, before and after."""
    every = bisection.report.metrics if isinstance(bisection.report, Report) else ()
    wanted = patterns(bisection.gate.kind, bisection.gate.metric)
    names = ((metric, MetricName.parse(metric.name)) for metric in every)
    return [metric for metric, name in names if is_about(wanted, (*name.artifact, *name.path))]


def plain(bisection: Bisection) -> str:
    """The first bad commit, the gate before and after it, then what it changed."""
    return harmless("\n".join(_lines(bisection)))


def _lines(bisection: Bisection) -> Iterator[str]:
    gate, result, report = bisection.gate, bisection.result, bisection.report
    yield words.line(f"gate {bisection.name}: {gate.kind} on {gate.metric}: {gates.demand(gate)}")
    if isinstance(result, NotFound):
        yield words.line(f"no first bad commit: {result.reason}")
    else:
        yield from _commits(result)
        for label, check in (("before", result.good), ("after", result.bad)):
            text = f"{check.verdict}: {words.line(check.observed)}"
            yield f"  {label:6}  {check.commit.short}  {text}"
        if isinstance(report, Report):
            yield from _changed(report, metrics(bisection))
        count = Counter(check.state for check in result.checked)
        states = ", ".join(f"{count[state]} {state}" for state in get_args(State))
        yield from ("", f"{len(result.checked)} commits checked: {states}")
    yield from (f"note: {words.line(note)}" for note in _notes(bisection))


def _commits(result: FirstBadCommit) -> Iterator[str]:
    if len(result.one_of) > 1:
        yield (
            f"the first bad commit is one of these {len(result.one_of)}; "
            "all but the last were skipped:"
        )
        yield from _listed(
            [f"{_named(c.commit)} [{c.verdict}: {c.observed}]" for c in result.one_of]
        )
        return
    yield f"first bad commit: {_named(result.bad.commit)}"
    if result.merged:
        yield f"  a merge of {len(result.merged)} commits:"
        yield from _listed([_named(commit) for commit in result.merged])


def _listed(rows: Sequence[str]) -> Iterator[str]:
    if len(rows) > SHOWN:
        rows = [*rows[: SHOWN - 1], f"and {len(rows) - SHOWN} more, down to", rows[-1]]
    yield from (f"  {words.line(row)}" for row in rows)


def _named(commit: Commit) -> str:
    return words.line(f"{commit.short} ({commit.author}, {commit.day}): {commit.subject}")


def _changed(report: Report, metrics: Sequence[Metric]) -> Iterator[str]:
    for table in (tables.metrics(metrics, "metric"), *(made(report) for made in tables.CHANGES)):
        if table.rows:
            yield from ("", f"{table.title}:", *aligned.lines(table))


def _notes(bisection: Bisection) -> Iterator[str]:
    """What limits the answer."""
    result, metric = bisection.result, bisection.gate.metric
    if isinstance(result, FirstBadCommit):
        good, bad = result.good.commit.short, result.bad.commit.short
        if untested.varies(metric):
            stage = MetricName.parse(metric).artifact.stage
            yield (
                f"{metric} differs from one measurement to the next, so it may have failed by "
                f"chance: `dvc repro --force --single-item {stage}` at {good} and at {bad} tells"
            )
        if isinstance(bisection.report, str):
            yield f"what changed is not known: {bisection.report}"
        elif len(result.one_of) > 1:
            yield f"the changes are those between {good} and {bad}, by all these commits together"
        if result.earlier:
            before = ", ".join(check.commit.short for check in result.earlier[:SHOWN])
            yield (
                f"the gate began to fail {len(result.earlier) + 1} times between these commits; "
                f"this is the latest, the earlier ones are {before}"
            )
        oldest = result.checked[-1]
        if oldest.state != "pass":
            yield f"{oldest.commit.short}, the good commit, does not pass itself: {oldest.observed}"
    yield from bisection.notes


def as_json(bisection: Bisection) -> str:
    """`first_bad_commit` is null if there is none, or one of several: `one_of`, oldest first.

    `reason` says why there is none.
    """
    result, report = bisection.result, bisection.report
    content: dict[str, Any] = {
        "gate": bisection.name,
        "kind": bisection.gate.kind,
        "metric": bisection.gate.metric,
        "demand": gates.demand(bisection.gate),
    }
    if isinstance(result, NotFound):
        content |= {"first_bad_commit": None, "one_of": [], "reason": result.reason}
    else:
        content |= {
            "first_bad_commit": result.bad if len(result.one_of) == 1 else None,
            "one_of": result.one_of,
            "before": result.good,
            "after": result.bad,
            "merged": result.merged,
            "metrics": metrics(bisection),
            "changes": report.changes if isinstance(report, Report) else None,
            "earlier": result.earlier,
            "checked": result.checked,
        }
    content["notes"] = list(_notes(bisection))
    return json.dumps(values.finite(content), indent=2, allow_nan=False)
