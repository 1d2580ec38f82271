"""culprits: the commit that broke a gate, and what it changed, as text and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmspec.compare import spread
from lmspec.compare.report import Metric, Report
from lmspec.history.bisection import Culprit, Held, Nothing
from lmspec.history.commits import Commit
from lmspec.history.metric_lookup import pattern_of
from lmspec.language import metric_names
from lmspec.pipeline.paths import stage_name
from lmspec.reports import aligned, tables, values, words
from lmspec.specs.gates import Gate

SHOWN = 10  # commits of a branch or a range


@dataclass(frozen=True)
class Told:
    """A search and its end. report: of the last commit that passes and the first that fails; a text: why there is none."""

    name: str
    gate: Gate
    demand: str
    found: Culprit | Nothing
    report: Report | str

    @property
    def metrics(self) -> list[Metric]:
        """Those that the gate is about, before and after."""
        metrics = self.report.metrics if isinstance(self.report, Report) else ()
        return [
            metric for metric in metrics if metric_names.named(pattern_of(self.gate), metric.name)
        ]


def plain(told: Told) -> str:
    """Who, then before and after, then what was changed."""
    return aligned.harmless("\n".join(_lines(told)))


def _lines(told: Told) -> Iterator[str]:
    yield words.line(f"gate {told.name}: {told.gate.kind} on {told.gate.metric}: {told.demand}")
    if isinstance(told.found, Nothing):
        yield words.line(f"nothing found: {told.found.reason}")
        yield from (f"note: {words.line(note)}" for note in notes(told))
        return
    yield from _who(told.found)
    for what, held in (("before", told.found.good), ("after", told.found.fails)):
        yield f"  {what:6}  {held.commit.short}  {held.verdict}: {words.line(held.found)}"
    if isinstance(told.report, Report):
        yield from _changed(told, told.report)
    yield ""
    yield _counted(told.found.line)
    yield from (f"note: {words.line(note)}" for note in notes(told))


def _who(found: Culprit) -> Iterator[str]:
    if len(found.one_of) > 1:
        yield f"broken by one of these {len(found.one_of)}, as the metrics of all but the last say nothing of it:"
        yield from _listed(
            [f"{_named(held.commit)} [{held.verdict}: {held.found}]" for held in found.one_of]
        )
        return
    yield f"broken by {_named(found.fails.commit)}"
    if found.brought:
        yield f"  a merge, which brought {len(found.brought)} commits:"
        yield from _listed([_named(commit) for commit in found.brought])


def _listed(rows: Sequence[str]) -> Iterator[str]:
    cut = (
        rows
        if len(rows) <= SHOWN
        else [*rows[: SHOWN - 1], f"and {len(rows) - SHOWN} more, down to", rows[-1]]
    )
    yield from (f"  {words.line(row)}" for row in cut)


def _named(commit: Commit) -> str:
    return words.line(f"{commit.short} ({commit.author}, {commit.day}): {commit.subject}")


def _changed(told: Told, report: Report) -> Iterator[str]:
    for shown in (
        tables.metrics(report, told.metrics, "metric"),
        *(made(report) for made in tables.CHANGES),
    ):
        if shown.rows:
            yield from ("", f"{shown.title}:", *aligned.lines(shown))


def _counted(line: Sequence[Held]) -> str:
    count = Counter(held.state for held in line)
    return f"{len(line)} commits held: {count['pass']} pass, {count['fail']} fail, {count['skipped']} skipped"


def notes(told: Told) -> Iterator[str]:
    """What else is to be known of the line of commits."""
    found = told.found
    if isinstance(found, Nothing):
        yield from found.notes
        return
    if spread.measured_anew(told.gate.metric):
        again = f"`dvc repro --force --single-item {stage_name('.'.join(told.gate.metric.split('.')[:2]))}`"
        yield (
            f"{told.gate.metric} is measured, and each measurement gives another number: the commit may have done nothing but"
            f" measure anew; {again} at {found.good.commit.short} and at {found.fails.commit.short} tells"
        )
    if isinstance(told.report, str):
        yield f"what was changed cannot be told: {told.report}"
    elif len(found.one_of) > 1:
        yield f"what was changed is between {found.good.commit.short} and {found.fails.commit.short}, by all of these together"
    if found.earlier:
        names = ", ".join(held.commit.short for held in found.earlier[:SHOWN])
        yield f"the gate began to fail {len(found.earlier) + 1} times between these commits; this is the last, before at {names}"
    if found.line[-1].state != "pass":
        yield f"{found.line[-1].commit.short}, the good commit, does not pass by itself: {found.line[-1].found}"
    yield from found.notes


def as_json(told: Told) -> str:
    """`culprit` is null if it is one of several, or none; `one_of`, oldest first, has them; `reason` says why there is none."""
    about = {
        "gate": told.name,
        "kind": told.gate.kind,
        "metric": told.gate.metric,
        "demand": told.demand,
    }
    if isinstance(told.found, Nothing):
        nothing = {
            "culprit": None,
            "one_of": [],
            "reason": told.found.reason,
            "notes": list(notes(told)),
        }
        return json.dumps({**about, **nothing}, indent=2)
    found = told.found
    content = {
        **about,
        "culprit": found.fails if len(found.one_of) == 1 else None,
        "one_of": found.one_of,
        "before": found.good,
        "after": found.fails,
        "merged": found.brought,
        "metrics": told.metrics,
        "changes": told.report.changes if isinstance(told.report, Report) else None,
        "earlier": found.earlier,
        "line": found.line,
        "notes": list(notes(told)),
    }
    return json.dumps(values.finite(content), indent=2, allow_nan=False)
