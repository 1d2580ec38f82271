"""tables: the rows of a report as texts, which terminal, markdown and html set each in their own way."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lmspec.compare.report import Change, Example, Flips, Metric, Report
from lmspec.reports import words
from lmspec.reports.words import Tone

Kind = Literal["name", "number", "text", "verdict"]
ARROW = "->"


@dataclass(frozen=True)
class Column:
    """kind: a name stands for something in the project; numbers are aligned right; a text is prose, or comes from data."""

    head: str
    kind: Kind


@dataclass(frozen=True)
class Row:
    """A text for each column, on one line and printable, but not escaped for any form."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """note: one line below it, in words of this package; may be empty."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


def _table(title: str, columns: str, rows: Iterable[Row], note: str = "") -> Table:
    """columns: `head:kind`, separated by `|`. A column that is empty in each row is left out."""
    rows = tuple(rows)
    heads = [Column(*column.split(":")) for column in columns.split("|")]  # type: ignore[arg-type]
    kept = [i for i in range(len(heads)) if any(row.cells[i] for row in rows)]
    shown = tuple(replace(row, cells=tuple(row.cells[i] for i in kept)) for row in rows)
    return Table(title, tuple(heads[i] for i in kept), shown, note)


def parameters(report: Report) -> Table:
    """Old and new value of each leaf."""
    return _table(
        "parameters",
        "parameter:name|baseline:text|candidate:text",
        map(_change, report.changes.parameters),
    )


def toolchain(report: Report) -> Table:
    """Python and packages."""
    return _table(
        "toolchain",
        "package:name|baseline:text|candidate:text",
        map(_change, report.changes.toolchain),
    )


def _change(change: Change) -> Row:
    return Row(
        (
            words.line(change.name),
            *map(words.side_value, (change.baseline, change.candidate)),
        )
    )


def data(report: Report) -> Table:
    """Rows in, out and relabelled."""
    rows = [
        Row(
            (
                *map(words.line, (r.artifact, r.table, r.label)),
                *(_count(n) for n in (r.added, r.removed, r.relabelled)),
            )
        )
        for r in report.changes.data
    ]
    return _table(
        "data",
        "artifact:name|table:name|label:name|rows in:number|rows out:number|relabelled:number",
        rows,
    )


def _count(number: int) -> str:
    return str(number)


def code(report: Report) -> Table:
    """Files, their changed definitions, and the stages that execute them."""
    rows = [
        Row((words.line(c.file), _listed(c.what) or "comments or layout alone", _listed(c.stages)))
        for c in report.changes.code
    ]
    return _table("code", "file:name|what:text|stages:text", rows)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(words.line, names))


def artifacts(report: Report) -> Table:
    """Rebuilt, new, removed and renamed ones."""
    changes = report.changes
    found = [
        (what, name, "")
        for what in ("rebuilt", "new", "removed")
        for name in getattr(changes, what)
    ]
    found += [("renamed", old, new) for old, new in changes.renamed.items()]
    rows = [Row((what, words.line(name), words.line(to))) for what, name, to in found]
    return _table("artifacts", "what:text|artifact:name|new name:name", rows)


CHANGES: tuple[Callable[[Report], Table], ...] = (parameters, data, code, toolchain, artifacts)
METRIC = (
    "metric:name|baseline:number|candidate:number|difference:number|95 % interval:number"
    "|verdict:verdict|remark:text"
)
COUNTS = "examples:number|negative flips:number|positive flips:number"
TEST = "p:number|p (Holm):number|family:text|examples:number|method:text"


def metrics(
    report: Report, shown: Sequence[Metric], title: str = "metrics", tested: bool = False
) -> Table:
    """One row per metric, in the order given. tested: with how it was tested."""
    rows = (
        Row((*_metric(m), *(_test(m) if tested else ())), words.TONES[m.verdict]) for m in shown
    )
    heads = f"{METRIC}|{TEST}" if tested else METRIC
    return _table(title, heads, rows, words.explanation(report.metrics))


def tests(report: Report) -> Table:
    """How each metric was tested."""
    tested = (m for m in words.ordered(report.metrics) if m.p is not None)
    rows = (
        Row((words.line(m.name), *_test(m), words.verdict(m)), words.TONES[m.verdict])
        for m in tested
    )
    return _table("how each metric was tested", f"metric:name|{TEST}|verdict:verdict", rows)


def _metric(metric: Metric) -> tuple[str, ...]:
    like = max((abs(v) for v in (metric.baseline, metric.candidate) if _measured(v)), default=None)
    return (
        words.line(metric.name),
        words.number(metric.baseline),
        words.number(metric.candidate),
        words.signed(metric.difference, like),
        words.interval(metric.interval, like),
        words.verdict(metric),
        words.remark(metric),
    )


def _measured(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0
    )  # neither nan nor infinite


def _test(metric: Metric) -> tuple[str, ...]:
    p, corrected = ("" if p is None else f"{p:.2g}" for p in (metric.p, metric.p_holm))
    return (
        p,
        corrected,
        metric.family or "",
        _some(metric.examples),
        words.line(metric.method or ""),
    )


def _some(number: int | None) -> str:
    return "" if number is None else str(number)


def flips(report: Report) -> Table:
    """Negative and positive flips of each test split."""
    rows = [
        Row(
            (
                *map(words.line, (f.artifact, f.dataset)),
                *map(_count, (f.examples, f.negative_flips, f.positive_flips)),
                *_rates(f),
            )
        )
        for f in report.flips
    ]
    heads = f"artifact:name|dataset:name|{COUNTS}|rate:number|at most (95 %):number"
    note = (
        "negative flip: right in the baseline, wrong in the candidate; rate: of all compared examples"
        if rows
        else ""
    )
    return _table("flips", heads, rows, note)


def _rates(flips: Flips) -> tuple[str, str]:
    return words.number(float(flips.rate)), words.number(float(flips.bound))


def slices(report: Report, everything: bool = True) -> Table:
    """Flips per class and table; those alone in which there are any, unless everything is asked for."""
    rows = [
        Row(
            (
                *map(words.line, (f.artifact, f.dataset, s.kind, s.name)),
                *map(_count, (s.examples, s.negative_flips, s.positive_flips)),
            )
        )
        for f in report.flips
        for s in f.slices
        if everything or s.negative_flips or s.positive_flips
    ]
    heads = f"artifact:name|dataset:name|slice:text|name:name|{COUNTS}"
    return _table("flips by class and table", heads, rows)


def worst(report: Report, most: int | None = None) -> list[tuple[Flips, Example]]:
    """The worst negative flips, so many of each test split, the worst of every split first."""
    ranked = [(rank, f, one) for f in report.flips for rank, one in enumerate(f.worst[:most])]
    return [(f, one) for _, f, one in sorted(ranked, key=lambda entry: entry[0])]


def examples(report: Report, most: int | None = None) -> Table:
    """A row for each of the worst negative flips."""
    rows = [_example(f, example) for f, example in worst(report, most)]
    heads = (
        "artifact:name|dataset:name|example:name|table:name|label:name|baseline:name"
        "|candidate:name|P(label):number|text:text"
    )
    note = "P(label): probability of the true label, baseline -> candidate" if rows else ""
    return _table("negative flips", heads, rows, note)


def _example(flips: Flips, example: Example) -> Row:
    names = (
        flips.artifact,
        flips.dataset,
        example.id,
        example.table,
        example.label,
        example.baseline,
        example.candidate,
    )
    probability = f"{example.old_probability:.2f} {ARROW} {example.new_probability:.2f}"
    text = "(the text is not at hand)" if example.text is None else words.line(example.text)
    return Row((*map(words.line, names), probability, text))


def ratios(report: Report) -> Table:
    """candidate / baseline of what is timed or weighed."""
    rows = [
        Row(
            (
                words.line(r.name),
                words.number(r.baseline),
                words.number(r.candidate),
                words.ratio(r.ratio, r.interval),
                r.verdict,
                f"{r.better} is better" if r.better else "",
                words.line(r.method or ""),
            ),
            words.TONES[r.verdict],
        )
        for r in sorted(report.ratios, key=lambda r: words.RANK[r.verdict])
    ]
    heads = (
        "ratio:name|baseline:number|candidate:number|candidate / baseline [95 %]:number"
        "|verdict:verdict|direction:text|method:text"
    )
    return _table("ratios", heads, rows)


def gates(report: Report) -> Table:
    """The ones that do not pass first."""
    rows = [
        Row(
            (
                words.gate_verdict(g),
                *map(words.line, (g.gate, g.kind, g.metric, g.demand, g.found)),
                "" if g.needed is None else f"about {g.needed}",
                words.line(g.why or ""),
            ),
            words.gate_tone(g),
        )
        for g in words.gates_by_urgency(report.gates)
    ]
    heads = (
        "verdict:verdict|gate:name|kind:name|metric:name|demand:text|found:text"
        "|examples needed:number|why:text"
    )
    return _table("gates", heads, rows)
