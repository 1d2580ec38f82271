"""html: a report as one file for a browser: no script, nothing loaded, light and dark, readable without colours."""

from collections.abc import Iterator, Sequence
from html import escape

from lmspec.compare.report import Confusion, Point, Report
from lmspec.pipeline import paths
from lmspec.reports import page, plots, tables, words
from lmspec.reports.plots import Drawing
from lmspec.reports.tables import Column, Table

OPEN_ROWS = 60  # a table with more rows is folded
MOST_FIGURES = 30  # of each kind; the tables have the rest


def render(report: Report) -> str:
    """The whole page, to be opened from a disk or an archive of CI. Its policy forbids the browser to load or run anything."""
    parts = [(title, "\n".join(content)) for title, content in _parts(report)]
    shown = [(f"part-{i}", title, content) for i, (title, content) in enumerate(parts) if content]
    return page.FRAME.format(
        policy=page.POLICY,
        title=f"lmspec diff: {text(words.sides(report))}",
        style=page.STYLE,
        sides=text(words.sides(report)),
        tone="bad" if report.failures else "good",
        headline=text(words.headline(report)),
        links="\n".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown),
        parts="\n".join(
            f'<section id="{name}">\n<h2>{title}</h2>\n{content}\n</section>'
            for name, title, content in shown
        ),
    )


def _parts(report: Report) -> Iterator[tuple[str, Iterator[str]]]:
    """Title and content of each part, in the order in which they are read; one without content is not shown."""
    yield "Failures", _list(report.failures)
    yield "Gates", _tables(tables.gates(report))
    yield "Changes", _tables(*(made(report) for made in tables.CHANGES))
    yield "Metrics", _metrics(report)
    yield "Flips", _tables(tables.flips(report), tables.slices(report), tables.examples(report))
    yield "Speed and size", _tables(tables.ratios(report))
    yield (
        "Size against accuracy",
        _figures(plots.front(dataset, points, f"p{i}") for i, (dataset, points) in _fronts(report)),
    )
    yield "Confusion", (part for one in report.confusion for part in _confusion(one))
    yield (
        "Calibration",
        _figures(
            plots.reliability(one, f"c{i}")
            for i, one in enumerate(report.calibration[:MOST_FIGURES])
        ),
    )
    yield (
        "Training",
        _figures(
            plots.training(one, f"t{i}") for i, one in enumerate(report.curves[:MOST_FIGURES])
        ),
    )
    yield "Notes", _list(report.notes)


def text(value: object) -> str:
    """Escaped for an element or an attribute in quotes."""
    return escape(words.printable(value), quote=True)


def _list(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield "<ul>"
        yield from (f"<li>{text(line)}</li>" for line in lines)
        yield "</ul>"


def _metrics(report: Report) -> Iterator[str]:
    ordered = words.ordered(report.metrics)
    shown = [metric for metric in ordered if metric.verdict != "same"]
    yield from _tables(tables.metrics(report, shown, tested=True))
    tested = list(plots.tested(shown).items())
    yield from _figures(
        plots.intervals(name, metrics, f"m{i}")
        for i, (name, metrics) in enumerate(tested[:MOST_FIGURES])
    )
    same = [metric for metric in ordered if metric.verdict == "same"]
    yield from _tables(tables.metrics(report, same, "metrics that are the same"), folded=True)


def _tables(*shown: Table, folded: bool = False) -> Iterator[str]:
    for table in shown:
        if not table.rows:
            continue
        title = f"{text(table.title)}: {len(table.rows)}"
        if folded or len(table.rows) > OPEN_ROWS:
            yield f"<details><summary>{title}</summary>"
            yield from _table(table, title)
            yield "</details>"
        else:
            yield from _table(table, title)


def _table(table: Table, title: str) -> Iterator[str]:
    yield f'<div class="wide" role="region" tabindex="0" aria-label="{title}"><table><caption>{title}</caption>'
    heads = "".join(
        f'<th scope="col"{_class(column)}>{text(column.head)}</th>' for column in table.columns
    )
    yield f"<thead><tr>{heads}</tr></thead><tbody>"
    for row in table.rows:
        cells = zip(row.cells, table.columns, strict=True)
        yield f"<tr>{''.join(f'<td{_class(column, row.tone)}>{text(cell)}</td>' for cell, column in cells)}</tr>"
    yield "</tbody></table></div>"
    if table.note:
        yield f"<p>{text(table.note)}</p>"


def _class(column: Column, tone: str = "") -> str:
    return (
        f' class="{column.kind} {tone}"'
        if column.kind == "verdict" and tone
        else f' class="{column.kind}"'
    )


def _figures(drawings: Iterator[Drawing | None]) -> Iterator[str]:
    for drawing in drawings:
        if drawing is not None:
            svg = drawing.svg.replace(
                "<svg ", f'<svg role="img" aria-label="{text(drawing.about)}" ', 1
            )
            yield f"<figure>\n{svg}<figcaption>{text(drawing.about)}</figcaption>\n</figure>"


def _fronts(report: Report) -> Iterator[tuple[int, tuple[str, list[Point]]]]:
    found: dict[str, list[Point]] = {}
    for point in report.front:
        found.setdefault(point.dataset, []).append(point)
    return iter(enumerate(list(found.items())[:MOST_FIGURES]))


def _confusion(confusion: Confusion) -> Iterator[str]:
    yield f"<h3>{text(confusion.artifact)} on {text(confusion.dataset)}</h3>"
    if confusion.baseline is None and confusion.candidate is None:
        where = paths.table(confusion.artifact, "confusion")
        yield f"<p>{len(confusion.labels):,} labels are too many for a table here: {text(where)} has the counts.</p>"
        return
    yield '<div class="pair">'
    for side, counts in (("baseline", confusion.baseline), ("candidate", confusion.candidate)):
        if counts is not None:
            yield from _heat(side, confusion.labels, counts)
    yield "</div>"


def _heat(side: str, labels: tuple[str, ...], counts: tuple[tuple[int, ...], ...]) -> Iterator[str]:
    """Each row's cells are tinted by their share of the row: the share is what a reader compares, and is written too."""
    yield f'<div class="wide"><table class="heat"><caption>{side}: examples, and share of the true label</caption>'
    heads = "".join(f'<th scope="col">{text(label)}</th>' for label in labels)
    yield f'<thead><tr><th scope="col">true \\ predicted</th>{heads}</tr></thead><tbody>'
    for label, row in zip(labels, counts, strict=True):
        total = sum(row)
        cells = "".join(_heat_cell(count, count / total if total else 0) for count in row)
        yield f'<tr><th scope="row">{text(label)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _heat_cell(count: int, share: float) -> str:
    return (
        f'<td class="number" style="--share: {share:.2f}">{count} <small>{share:.2f}</small></td>'
    )
