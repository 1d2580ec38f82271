"""terminal: a report as tables on a screen, or as plain lines for a pipe."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmspec.compare.report import Report
from lmspec.errors import harmless
from lmspec.reports import aligned, folding, tables, words
from lmspec.reports.tables import Table
from lmspec.reports.words import Tone

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table as RichTable

EMPTY = Table("", (), ())
WORST = 3  # negative flips of each dataset
# characters of a cell in plain text; on a screen it is wrapped
SHORT = 20  # characters
WIDEST = {"name": 200, "number": 80, "text": 100, "verdict": 40}
COLOURS = {"good": "green", "bad": "red", "unsure": "yellow", "plain": ""}


@dataclass(frozen=True)
class Section:
    """A head line, with lines and a table below; both may be empty.

    whole  heads of columns of the table that a screen does not wrap, unless a cell is long
    """

    head: str
    lines: Sequence[str] = ()
    table: Table = EMPTY
    tone: Tone = "plain"
    whole: Collection[str] = ()


def sections(report: Report, everything: bool) -> Iterator[Section]:
    """In reading order: what fails, what changed, what that did."""
    yield Section(words.revisions(report))
    yield from _listed("failure", report.failures, "bad")
    yield from _listed("warning", report.warnings, "unsure")
    yield from _tables(
        tables.parameters(report, everything),
        tables.data(report),
        tables.code(report),
        tables.toolchain(report),
        tables.artifacts(report, everything),
    )
    shown = [m for m in words.ordered(report.metrics) if everything or m.verdict != "same"]
    hidden = "" if len(shown) == len(report.metrics) else " (`same` is not shown: --all shows it)"
    if not everything:
        folded = folding.folded(shown, report.remeasured)
        hidden = hidden if len(folded) == len(shown) else " (--all shows each)"
        shown = folded
    yield Section(
        f"metrics: {words.counted(report.metrics)}{hidden}",
        table=tables.metrics(shown, tested=everything, note=words.explanation(report.metrics)),
    )
    yield from _tables(
        tables.flips(report),
        tables.slices(report, everything),
        tables.examples(report, None if everything else WORST),
        tables.drifts(report),
        tables.moved(report, None if everything else WORST),
        tables.weights(report),
        tables.ratios(report, everything),
        tables.standings(report, everything),
        tables.beside_nearest(report),
        tables.gates(report),
    )
    yield from _listed("note", report.notes)
    yield Section(words.ending(report), tone="bad" if report.failures else "good")


def _listed(kind: str, texts: Sequence[str], tone: Tone = "plain") -> Iterator[Section]:
    if texts:
        lines = [f"{kind}: {words.line(text)}" for text in texts]
        yield Section(f"{kind}s: {len(texts)}", lines, tone=tone)


def _tables(*shown: Table) -> Iterator[Section]:
    for table in shown:
        if table.rows:
            yield Section(f"{table.title}: {len(table.rows)}", table=table)


def plain(report: Report, everything: bool = False) -> str:
    """One line per row, columns aligned, no colours: for pipes, logs and grep."""
    return lines(sections(report, everything))


def render(report: Report, everything: bool = False) -> "Group":
    """Tables that wrap long cells."""
    return drawn(sections(report, everything))


def lines(shown: Iterable[Section]) -> str:
    """Sections as plain text."""
    parts = [
        "\n".join([section.head, *section.lines, *aligned.lines(section.table, WIDEST)])
        for section in shown
    ]
    return harmless("\n\n".join(parts)) + "\n"


def drawn(shown: Iterable[Section]) -> "Group":
    """Sections as rich lays them out."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for section in shown:
        colour, table = COLOURS[section.tone], section.table
        parts.append(Text(section.head, style=f"bold {colour}".strip()))
        parts += [Text(line, style=colour) for line in section.lines]
        parts += [rich_table(table, _short(table, section.whole))] if table.rows else []
        parts += [Text(table.note, style="dim")] if table.note else []
        parts.append(Text())
    return Group(*parts[:-1])


def _short(table: Table, heads: Collection[str]) -> list[str]:
    """Those columns whose cells are short enough to have their width on any screen."""
    return [
        column.head
        for place, column in enumerate(table.columns)
        if column.head in heads and max(len(row.cells[place]) for row in table.rows) <= SHORT
    ]


def rich_table(table: Table, whole: Collection[str] = ()) -> "RichTable":
    """A table that wraps long cells. whole: heads of columns that, like numbers, never wrap."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        side: Literal["left", "right"] = "right" if column.kind == "number" else "left"
        fixed = side == "right" or column.head in whole
        shown.add_column(column.head, justify=side, no_wrap=fixed, overflow="fold")
    for row in table.rows:
        styles = (COLOURS[row.tone] if c.kind == "verdict" else "" for c in table.columns)
        shown.add_row(*map(Text, row.cells, styles))
    return shown
