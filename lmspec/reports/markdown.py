"""markdown: a report as a comment on a pull request, however long it is, and whatever its texts hold."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lmspec.compare.report import Report
from lmspec.reports import tables, words
from lmspec.reports.tables import Column, Row, Table

MARKER = "<!-- lmspec diff -->"
LONGEST = 300  # characters of a cell
OPEN_ROWS = 8  # a table of changes with more rows is folded
FAILURES = 20  # rows of gates and metrics say the same again
RESERVE = (
    300  # characters for what says that rows were left out, without the command that shows them
)
HARMLESS = re.compile(r"[A-Za-z0-9 .,:;()'=/%?-]*")  # within a line; and within backticks also:
CODE = re.compile(
    r"[A-Za-z0-9.,;()'=/%?_>+:\[\]-](?:[A-Za-z0-9 .,;()'=/%?_>+:\[\]-]*[A-Za-z0-9.,;()'=/%?_>+:\[\]-])?"
)
LINKED = re.compile(
    r"[@#!$&%~^]\w|www\.|://|[A-Za-z]-\d|\b(?=\d*[a-f])[0-9a-f]{7}", re.IGNORECASE
)  # what GitHub and GitLab make links of
NUMBERS = re.compile(r"(?:[x0-9e+.,\[\]() >-]|inf|nan)*")
ACTIVE = re.compile(r":(?=//)|w(?=ww\.)|[^A-Za-z0-9 .,:;()'=/%?\u0080-\U0010ffff-]", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A table and where it stands. urgency: the lowest gets its rows first; folded: shown on a click."""

    table: Table
    urgency: int
    folded: bool = False


def render(report: Report, limit: int = 65_536) -> str:
    """Markdown of at most so many UTF-16 code units: as many characters or more, however a site counts. A limit is 4,000 or more.

    The first line is invisible and always the same, so that CI finds its earlier comment. What does not fit is left out from
    the least urgent block's last row on, and the text says how many rows that were.
    """
    blocks = [block for block in _blocks(report) if block.table.rows]
    command = code(words.command(report), LONGEST)
    top = f"{MARKER}\n**lmspec diff {code(words.sides(report), LONGEST)}: {words.headline(report)}**\n"
    left = limit - size(top) - RESERVE - size(command)
    texts: dict[int, str] = {}
    missing = 0
    for i in sorted(range(len(blocks)), key=lambda i: blocks[i].urgency):
        text, omitted = _fitted(blocks[i], left)
        texts[i] = text
        left -= size(text)
        missing += omitted
    rows = "row does" if missing == 1 else "rows do"
    foot = (
        f"\n{missing} {rows} not fit into this comment, the least urgent: {command} shows all.\n"
        if missing
        else ""
    )
    return top + "".join(texts[i] for i in sorted(texts)) + foot


def _blocks(report: Report) -> Iterator[Block]:
    """In the order in which they are read."""
    ordered = words.ordered(report.metrics)
    first = [m for m in ordered if m.verdict in words.SIGNIFICANT]
    rest = [m for m in ordered if m.verdict not in words.SIGNIFICANT and m.verdict != "same"]
    same = [m for m in ordered if m.verdict == "same"]
    yield Block(_failures(report), 0)
    yield Block(tables.gates(report), 1)
    shown = [
        tables.metrics(report, first, "metrics that differ"),
        tables.metrics(report, rest, "other metrics"),
    ]
    yield Block(shown[0], 4)
    yield Block(replace(shown[1], note="") if first else shown[1], 11, folded=True)
    yield Block(
        replace(tables.metrics(report, same, "metrics that are the same"), note=""), 12, folded=True
    )
    yield Block(tables.ratios(report), 5)
    yield Block(tables.flips(report), 3, folded=len(report.flips) > OPEN_ROWS)
    yield Block(tables.slices(report, everything=False), 9, folded=True)
    yield Block(tables.examples(report), 10, folded=True)
    for urgency, changed in enumerate((made(report) for made in tables.CHANGES), start=6):
        yield Block(changed, min(urgency, 8), folded=len(changed.rows) > OPEN_ROWS)
    yield Block(
        Table(
            "notes",
            (Column("note", "text"),),
            tuple(Row((words.line(note),)) for note in report.notes),
        ),
        2,
    )


def _failures(report: Report) -> Table:
    rows = tuple(Row((words.line(failure),)) for failure in report.failures[:FAILURES])
    more = len(report.failures) - len(rows)
    note = f"and {more} more: see the tables below" if more else ""
    return Table("failures", (Column("why this fails", "text"),), rows, note)


def _fitted(block: Block, room: int) -> tuple[str, int]:
    """The block with as many of its rows as fit into so many characters, and how many do not."""
    count = len(block.table.rows)
    room -= size(_block(block, [], count))
    rows: list[str] = []
    for row in block.table.rows:
        text = _row(_cells(row, block.table.columns))
        room -= size(text)
        if room < 0:
            break
        rows.append(text)
    return (_block(block, rows, count - len(rows)), count - len(rows)) if rows else ("", count)


def _block(block: Block, rows: Sequence[str], missing: int) -> str:
    table = block.table
    head = _row([column.head for column in table.columns])
    rule = _row(["---:" if column.kind == "number" else "---" for column in table.columns])
    title = f"{table.title}: {len(table.rows)}"
    notes = [f"{table.note}\n"] if table.note else []
    notes += [f"{missing} more left out here.\n"] if missing else []
    body = "".join([head, rule, *rows, *(f"\n{note}" for note in notes)])
    if block.folded:
        return f"\n<details><summary>{title}</summary>\n\n{body}\n</details>\n"
    return f"\n**{title}**\n\n{body}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cells(row: Row, columns: Sequence[Column]) -> list[str]:
    return [cell(text, column) for text, column in zip(row.cells, columns, strict=True)]


def cell(text: str, column: Column) -> str:
    """A cell of a table, after the kind of its column."""
    if column.kind == "number" and NUMBERS.fullmatch(text):
        return text
    if column.kind == "name" or column.head == "text":
        return code(text, LONGEST)
    return prose(words.line(text, LONGEST))


def code(text: str, most: int) -> str:
    """As code, in which a site looks for no mention, link or picture; with no character that could end the code."""
    text = words.line(text, most)
    if not text:
        return ""
    return (
        f"`{text}`"
        if CODE.fullmatch(text) and "##[" not in text
        else f"<code>{_inert(text)}</code>"
    )


def prose(text: str) -> str:
    """As words, unless a site would make a link or a mention of some of them: then as code."""
    if HARMLESS.fullmatch(text) and not LINKED.search(text):
        return text
    return f"<code>{_inert(text)}</code>" if LINKED.search(text) else _inert(text)


def _inert(text: str) -> str:
    """Each character that means something to Markdown or HTML as a numeric reference, which can only be that character."""
    return ACTIVE.sub(lambda found: f"&#{ord(found[0])};", text)


def size(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2
