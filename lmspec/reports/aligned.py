"""aligned: a table as lines, its columns below each other: for pipes, logs and grep."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lmspec.reports import words
from lmspec.reports.tables import Column, Row, Table

# A CI runner takes a line that begins with :: for a command, and ##[ anywhere in one.
COMMANDS = re.compile(r"(?m)^(\s*):(?=:)|(##)(?=\[)")


def table(title: str, columns: Sequence[Column], rows: Iterable[Row]) -> Table:
    """Without the columns that are empty in each row."""
    every = tuple(rows)
    kept = [i for i in range(len(columns)) if any(row.cells[i] for row in every)]
    shown = tuple(replace(row, cells=tuple(row.cells[i] for i in kept)) for row in every)
    return Table(title, tuple(columns[i] for i in kept), shown)


def lines(shown: Table) -> Iterator[str]:
    """The heads, then a line for each row; nothing for a table without rows."""
    if not shown.rows:
        return
    cells = [[column.head for column in shown.columns], *(list(row.cells) for row in shown.rows)]
    widths = [max(words.columns(line[i]) for line in cells) for i in range(len(shown.columns))]
    for line in cells:
        yield "  ".join(
            padded(c, w, k.kind == "number")
            for c, w, k in zip(line, widths, shown.columns, strict=True)
        ).rstrip()


def padded(cell: str, width: int, right: bool = False) -> str:
    """As wide as its column on a terminal."""
    gap = " " * (width - words.columns(cell))
    return gap + cell if right else cell + gap


def harmless(text: str) -> str:
    """With nothing that a CI runner takes for a command."""
    return COMMANDS.sub(lambda found: f"{found[1] or ''}{found[2] or ':'} ", text)
