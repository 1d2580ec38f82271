"""aligned: a table as lines with aligned columns, for pipes, logs and grep."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest

from lmspec.language.problems import columns
from lmspec.reports import words
from lmspec.reports.tables import Table


def lines(table: Table, widest: Mapping[str, int] | None = None) -> Iterator[str]:
    """The heads, a line per row, and the note; nothing for a table without rows.

    widest  kind of a column -> characters of a cell; what is beyond is cut
    """
    if table.rows:
        most = [(widest or {}).get(column.kind) for column in table.columns]
        rows = (list(map(words.line, row.cells, most)) for row in table.rows)
        numeric = [column.kind == "number" for column in table.columns]
        yield from grid([[column.head for column in table.columns], *rows], numeric)
        yield from filter(None, [table.note])


def grid(rows: Sequence[Sequence[str]], numeric: Sequence[bool] = ()) -> Iterator[str]:
    """Rows of cells, each column as wide as its widest cell. numeric: columns aligned right."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    right = numeric or [False] * len(widths)
    for row in rows:
        yield "  ".join(map(_padded, row, widths, right)).rstrip()


def _padded(cell: str, width: int, right: bool) -> str:
    gap = " " * (width - columns(cell))
    return gap + cell if right else cell + gap


def listed(entries: Iterable[tuple[str, str, Iterable[str]]]) -> Iterator[str]:
    """Names, verdicts and reasons; an entry has a line for each reason."""
    rows = (
        zip_longest([name], [verdict], reasons, fillvalue="") for name, verdict, reasons in entries
    )
    yield from grid([*chain(*rows)])
