"""tables: the rows of a report as text, which the terminal, Markdown and HTML lay out."""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from lmspec.compare.report import (
    Change,
    Distance,
    Example,
    Flips,
    Metric,
    Ratio,
    Report,
    Standing,
)
from lmspec.compare.revision import number
from lmspec.errors import some
from lmspec.reports import folding, words
from lmspec.reports.words import Tone

Kind = Literal["name", "number", "text", "verdict"]
VALUES = "baseline:text|candidate:text"
METRIC = (
    "metric:name|baseline:number|candidate:number|difference:number|95 % interval:number"
    "|verdict:verdict|remark:text"
)
TEST = "p:number|p (Holm):number|family:text|examples:number|method:text"
MOST_ROWS = 8  # artifacts that were rebuilt, new or removed, each on its own row
COUNTS = "examples:number|negative flips:number|positive flips:number"


@dataclass(frozen=True)
class Column:
    """kind: `name` is an identifier, `number` is aligned right, `text` is prose or data."""

    head: str
    kind: Kind


@dataclass(frozen=True)
class Row:
    """A text per column: one line, printable, not yet escaped for any form."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """note: one line below the table; may be empty."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


def table(
    title: str,
    columns: str,
    rows: Iterable[Iterable[object]],
    tones: Iterable[Tone] = itertools.repeat("plain"),
    note: str = "",
) -> Table:
    """A table without the columns that are empty in every row.

    columns: `head:kind|head:kind`; cells of any type, None for an empty one.
    """
    heads = [Column(*column.split(":")) for column in columns.split("|")]  # type: ignore[arg-type]
    texts = [tuple(map(_cell, row)) for row in rows]
    filled = [any(column) for column in zip(*texts, strict=True)]
    shown = map(Row, (tuple(itertools.compress(row, filled)) for row in texts), tones)
    return Table(
        title, tuple(itertools.compress(heads, filled)), tuple(shown), note if texts else ""
    )


def _cell(value: object) -> str:
    return words.number(value) if value is None or isinstance(value, float) else words.line(value)


def parameters(report: Report, everything: bool = True) -> Table:
    """Values of each leaf of params.yaml that differs.

    Without `everything`, one row for all of a new artifact, or of one that was removed.
    """
    changes, whole = report.changes, {*report.changes.new, *report.changes.removed}
    rows: list[Sequence[object]] = []
    for key, group in itertools.groupby(changes.parameters, lambda change: _owner(change, whole)):
        leaves = list(group)
        if everything or key is None or len(leaves) < folding.FEWEST:
            rows += map(_parameter, leaves)
        else:
            sides = (words.NONE, f"{len(leaves)} values")
            rows.append((f"{key}.*", *(sides if key in changes.new else reversed(sides)), None))
    return table("parameters", f"parameter:name|{VALUES}|used by:text", rows)


def _parameter(change: Change) -> Sequence[object]:
    return (*_change(change), some(change.used_by) if change.used_by else None)


def _owner(change: Change, artifacts: Collection[str]) -> str | None:
    """The artifact whose field it is, if it is one of those."""
    name = ".".join(change.name.split(".", 2)[:2])
    return name if name in artifacts else None


def toolchain(report: Report) -> Table:
    """Versions of Python and packages."""
    return table("toolchain", f"package:name|{VALUES}", map(_change, report.changes.toolchain))


def _change(change: Change) -> Sequence[object]:
    return change.name, words.parameter(change.baseline), words.parameter(change.candidate)


def data(report: Report) -> Table:
    """Rows added, removed and relabelled."""
    heads = "artifact:name|table:name|label:name|rows in:number|rows out:number|relabelled:number"
    return table("data", heads, (vars(rows).values() for rows in report.changes.data))


def code(report: Report) -> Table:
    """Files, their changed definitions, and the stages that execute them."""
    rows = (
        (c.file, ", ".join(c.what) or words.LAYOUT_ONLY, ", ".join(c.stages))
        for c in report.changes.code
    )
    return table("code", "file:name|what:text|stages:text", rows)


def artifacts(report: Report, everything: bool = True) -> Table:
    """Those rebuilt, new, removed and renamed; without `everything` many of them on one row."""
    changes = report.changes
    rows: list[tuple[str, ...]] = []
    for what in ("rebuilt", "new", "removed"):
        names = getattr(changes, what)
        if not everything and len(names) > MOST_ROWS:
            names = (f"{len(names)}: {some(names)}",)
        rows += [(what, name, "") for name in names]
    rows += [("renamed", *names) for names in changes.renamed.items()]
    return table("artifacts", "what:text|artifact:name|new name:name", rows)


CHANGES = (parameters, data, code, toolchain, artifacts)


def metrics(
    shown: Sequence[Metric], title: str = "metrics", tested: bool = False, note: str = ""
) -> Table:
    """One row per metric, in the order given. tested: with how it was tested."""
    rows = ((*_metric(m), *(_test(m) if tested else ())) for m in shown)
    heads = f"{METRIC}|{TEST}" if tested else METRIC
    return table(title, heads, rows, map(_tone, shown), note)


def tests(report: Report) -> Table:
    """How each metric was tested."""
    tested = [m for m in words.ordered(report.metrics) if m.p is not None]
    rows = ((m.name, *_test(m), words.verdict(m)) for m in tested)
    heads = f"metric:name|{TEST}|verdict:verdict"
    return table("how each metric was tested", heads, rows, map(_tone, tested))


def _tone(compared: Metric | Ratio) -> Tone:
    return words.TONES[compared.verdict]


def _metric(metric: Metric) -> Sequence[object]:
    values = metric.baseline, metric.candidate
    like = max((abs(value) for value in values if number(value) is not None), default=None)
    return (
        metric.name,
        *map(words.number, values),
        words.signed(metric.difference, like),
        words.interval(metric.interval, like),
        words.verdict(metric),
        words.remark(metric),
    )


def _test(metric: Metric) -> Sequence[object]:
    p, corrected = (None if p is None else f"{p:.2g}" for p in (metric.p, metric.p_holm))
    return p, corrected, metric.family, metric.examples, metric.method


DATASET = attrgetter("artifact", "dataset")
FLIPS = attrgetter("examples", "negative_flips", "positive_flips")


def flips(report: Report) -> Table:
    """Negative and positive flips of each dataset."""
    rows = ((*DATASET(f), *FLIPS(f), f.rate, f.bound) for f in report.flips)
    heads = f"artifact:name|dataset:name|{COUNTS}|rate:number|at most (95 %):number"
    note = "negative flip: right in the baseline, wrong in the candidate; rate: of all compared"
    return table("flips", heads, rows, note=f"{note} examples")


def slices(report: Report, everything: bool = True) -> Table:
    """Flips per class and table; without `everything` only slices that have any."""
    rows = (
        (*DATASET(f), s.kind, s.name, *FLIPS(s))
        for f in report.flips
        for s in f.slices
        if everything or s.negative_flips or s.positive_flips
    )
    heads = f"artifact:name|dataset:name|slice:text|name:name|{COUNTS}"
    return table("flips by class and table", heads, rows)


def worst(report: Report, most: int | None = None) -> list[tuple[Flips, Example]]:
    """The worst negative flips, at most so many of a dataset, the worst of every dataset first."""
    ranked = itertools.zip_longest(*([(f, e) for e in f.worst[:most]] for f in report.flips))
    return [pair for rank in ranked for pair in rank if pair]


def examples(report: Report, most: int | None = None) -> Table:
    """A row for each of the worst negative flips."""
    cells = attrgetter("id", "table", "label", "baseline", "candidate")
    rows = (
        (
            *DATASET(f),
            *cells(e),
            f"{e.baseline_probability:.2f} -> {e.candidate_probability:.2f}",
            words.NO_TEXT if e.text is None else e.text,
        )
        for f, e in worst(report, most)
    )
    note = (
        "P(label): probability of the true label, baseline -> candidate; of a generated answer, "
        "the geometric mean of those of the reference's tokens"
    )
    heads = (
        "artifact:name|dataset:name|example:name|table:name|label:name|baseline:name"
        "|candidate:name|P(label):number|text:text"
    )
    return table("negative flips", heads, rows, note=note)


def ratios(report: Report, everything: bool = True) -> Table:
    """candidate / baseline of what is timed or weighed; without `everything`, no mere noise."""
    shown = (r for r in report.ratios if everything or not folding.is_noise(r, report.remeasured))
    ordered = sorted(shown, key=lambda r: words.RANK[r.verdict])
    rows = (
        (
            r.name,
            r.baseline,
            r.candidate,
            words.ratio(r.ratio, r.interval),
            r.verdict,
            r.better and f"{r.better} is better",
            r.method,
        )
        for r in ordered
    )
    heads = (
        "ratio:name|baseline:number|candidate:number|candidate / baseline [95 %]:number"
        "|verdict:verdict|direction:text|method:text"
    )
    return table("ratios", heads, rows, map(_tone, ordered))


def standings(report: Report, everything: bool = True) -> Table:
    """How far scores are from a constant answer and the linear baseline.

    Without `everything` a constant answer is shown only beside what it may equal.
    """
    rows = (
        (each.artifact, each.dataset, each.examples, *_beside(group))
        for each, group in _held(report, "accuracy")
        if everything or group[0].answer is None or each.warnings
    )
    heads = (
        "artifact:name|dataset:name|examples:number|beside:text|accuracy:number"
        "|difference [95 %]:number|balanced accuracy:number|difference [95 %]:number"
    )
    note = "difference: of the scores and what they are held against, on the same examples"
    return table("beside a constant answer and the linear baseline", heads, rows, note=note)


def beside_nearest(report: Report) -> Table:
    """How far generated answers are from those to the nearest training prompts."""
    rows = (
        (each.artifact, each.dataset, each.examples, *_beside(group))
        for each, group in _held(report, "exact_match")
    )
    heads = (
        "artifact:name|dataset:name|examples:number|beside:text|exact match:number"
        "|difference [95 %]:number|chrF:number|difference [95 %]:number"
    )
    note = "difference: of the scores and what they are held against, on the same prompts"
    return table("beside the nearest training prompt", heads, rows, note=note)


def _held(report: Report, first: str) -> Iterator[tuple[Standing, Sequence[Distance]]]:
    """Scores with their distances to one thing each, where the first of these is of a metric."""
    for each in report.standings:
        for _, group in itertools.groupby(each.distances, attrgetter("against")):
            distances = list(group)
            if distances[0].metric == first:
                yield each, distances


def _beside(distances: Sequence[Distance]) -> Iterator[object]:
    yield words.beside(distances[0])
    for each in distances:
        yield each.value
        yield f"{words.signed(each.difference, 0.1)} {words.interval(each.interval, 0.1)}"


def drifts(report: Report) -> Table:
    """How far explanations of both revisions agree."""
    rows = (
        (d.artifact, d.texts, d.correlation, words.interval(d.interval, 0.1), d.left_out or None)
        for d in report.drifts
    )
    heads = (
        "artifact:name|texts:number|rank correlation:number|95 % interval:number|left out:number"
    )
    note = "rank correlation: of the weights of a text's words in both, the mean over texts"
    return table("explanations", heads, rows, note=note)


def moved(report: Report, most: int | None = None) -> Table:
    """The texts whose explanations changed most."""
    rows = (
        (
            d.artifact,
            m.id,
            m.table,
            m.label,
            m.baseline if m.baseline == m.candidate else f"{m.baseline} -> {m.candidate}",
            f"{m.correlation:.2f}",
            ", ".join(m.baseline_words),
            ", ".join(m.candidate_words),
            words.NO_TEXT if m.text is None else m.text,
        )
        for d in report.drifts
        for m in d.moved[:most]
    )
    heads = (
        "artifact:name|example:name|table:name|label:name|predicted:name|correlation:number"
        "|baseline looks at:text|candidate looks at:text|text:text"
    )
    return table("texts that are explained differently", heads, rows)


def weights(report: Report) -> Table:
    """Words that gained or lost weight."""
    rows = (
        (
            d.artifact,
            w.label,
            w.word,
            w.texts,
            w.baseline,
            w.candidate,
            words.signed(w.candidate - w.baseline, 0.1),
        )
        for d in report.drifts
        for w in d.words
    )
    heads = (
        "artifact:name|label:name|word:text|texts:number|baseline:number|candidate:number"
        "|difference:number"
    )
    note = "how much the word adds to the probability of the label, on average over its texts"
    return table("words that gained or lost weight", heads, rows, note=note)


def gates(report: Report) -> Table:
    """Those that do not pass first."""
    ordered = words.gates_by_urgency(report.gates)
    cells = attrgetter("gate", "kind", "metric", "demand", "observed")
    rows = (
        (words.gate_verdict(g), *cells(g), g.needed and f"about {g.needed}", g.why) for g in ordered
    )
    heads = (
        "verdict:verdict|gate:name|kind:name|metric:name|demand:text|observed:text"
        "|examples needed:number|why:text"
    )
    return table("gates", heads, rows, map(words.gate_tone, ordered))


def warnings(report: Report) -> Table:
    """What makes scores worth little."""
    return table("warnings", "warning:text", zip(report.warnings, strict=True))


def notes(report: Report) -> Table:
    """What could not be checked, and why."""
    return table("notes", "note:text", zip(report.notes, strict=True))
