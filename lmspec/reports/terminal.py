"""terminal: a report as tables on a screen, or as plain lines for a pipe."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmspec.compare.report import Report
from lmspec.reports import aligned, tables, words
from lmspec.reports.tables import Row, Table
from lmspec.reports.words import Tone

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table as RichTable

WORST = 3  # examples of each test split
# characters of a cell in plain text; on a screen it is wrapped
WIDEST = {"name": 200, "number": 80, "text": 100, "verdict": 40}
COLOURS: dict[Tone, str] = {"good": "green", "bad": "red", "unsure": "yellow", "plain": ""}


@dataclass(frozen=True)
class Section:
    """A head line, with a table, lines, or nothing below."""

    head: str
    table: Table | None = None
    lines: tuple[str, ...] = ()
    tone: Tone = "plain"


def sections(report: Report, everything: bool) -> Iterator[Section]:
    """In reading order: what fails, what changed, what that did."""
    yield Section(words.revisions(report))
    failures = tuple(f"failure: {words.line(failure)}" for failure in report.failures)
    if failures:
        yield Section(f"failures: {len(failures)}", None, failures, "bad")
    for made in tables.CHANGES:
        yield from _counted(made(report))
    shown = [m for m in words.ordered(report.metrics) if everything or m.verdict != "same"]
    hidden = "" if len(shown) == len(report.metrics) else " (`same` is not shown: --all shows it)"
    yield Section(
        f"metrics: {words.counted(report.metrics)}{hidden}",
        tables.metrics(report, shown, tested=everything),
    )
    yield from _counted(tables.flips(report))
    yield from _counted(tables.slices(report, everything))
    yield from _counted(tables.examples(report, None if everything else WORST))
    yield from _counted(tables.ratios(report))
    yield from _counted(tables.gates(report))
    if report.notes:
        yield Section(
            f"notes: {len(report.notes)}",
            None,
            tuple(f"note: {words.line(note)}" for note in report.notes),
        )
    yield Section(words.ending(report), tone="bad" if report.failures else "good")


def _counted(table: Table) -> Iterator[Section]:
    if table.rows:
        yield Section(f"{table.title}: {len(table.rows)}", table)


def plain(report: Report, everything: bool = False) -> str:
    """One line per row, columns aligned, no colours: for pipes, logs and grep."""
    parts = [
        "\n".join([section.head, *_lines(section)]) for section in sections(report, everything)
    ]
    return aligned.harmless("\n\n".join(parts)) + "\n"


def _lines(section: Section) -> Iterator[str]:
    yield from section.lines
    table = section.table
    if table is None or not table.rows:
        return
    cut = (
        tuple(
            words.line(cell, WIDEST[c.kind])
            for cell, c in zip(row.cells, table.columns, strict=True)
        )
        for row in table.rows
    )
    yield from aligned.lines(replace(table, rows=tuple(map(Row, cut))))
    if table.note:
        yield table.note


def render(report: Report, everything: bool = False, width: int | None = None) -> "Group":
    """Tables that wrap long cells. width: of all, by default the screen's."""
    from rich.console import Group
    from rich.constrain import Constrain
    from rich.text import Text

    parts: list[RenderableType] = []
    for section in sections(report, everything):
        parts.append(Text(section.head, style=f"bold {COLOURS[section.tone]}".strip()))
        parts += [Text(line, style=COLOURS[section.tone]) for line in section.lines]
        if section.table is not None and section.table.rows:
            parts.append(rich_table(section.table))
            parts += [Text(section.table.note, style="dim")] if section.table.note else []
        parts.append(Text())
    return Group(*(Constrain(part, width) for part in parts[:-1]))


def rich_table(table: Table, whole: Collection[str] = ()) -> "RichTable":
    """A table that wraps long cells. whole: heads of columns that, like numbers, never wrap."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        right = column.kind == "number"
        fixed = right or column.head in whole
        shown.add_column(
            column.head, justify="right" if right else "left", no_wrap=fixed, overflow="fold"
        )
    for row in table.rows:
        cells = [Text(cell) for cell in row.cells]
        for cell, column in zip(cells, table.columns, strict=True):
            if column.kind == "verdict":
                cell.stylize(COLOURS[row.tone])
        shown.add_row(*cells)
    return shown
