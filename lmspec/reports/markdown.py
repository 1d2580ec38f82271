"""markdown: a report as a comment on a pull request, of any length and with any texts."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from lmspec.compare.report import Report
from lmspec.reports import tables, words
from lmspec.reports.tables import Column, Row, Table

MARKER = "<!-- lmspec diff -->"
LONGEST = 300  # characters of a cell
OPEN_ROWS = 8  # a table of changes with more rows is folded
HARMLESS = re.compile(r"[A-Za-z0-9 .,:;()'=/%?-]*")
_IN_CODE = r"A-Za-z0-9.,;()'=/%?_>+:\[\]-"  # harmless between backticks
CODE = re.compile(rf"[{_IN_CODE}](?:[ {_IN_CODE}]*[{_IN_CODE}])?")
# GitHub and GitLab make links of these
LINKED = re.compile(r"[@#!$&%~^]\w|www\.|://|[A-Za-z]-\d|\b(?=\d*[a-f])[0-9a-f]{7}", re.IGNORECASE)
NUMBERS = re.compile(r"(?:[x0-9e+.,\[\]() >-]|inf|nan)*")
ACTIVE = re.compile(r":(?=//)|w(?=ww\.)|[^A-Za-z0-9 .,:;()'=/%?\u0080-\U0010ffff-]", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A table of the comment. urgency: the lowest gets its rows first; folded: shown on a click."""

    table: Table
    urgency: int
    folded: bool = False


def render(report: Report, limit: int = 65_536) -> str:
    """Markdown of at most `limit` UTF-16 code units, the strictest way in which a site may count.

    The first line is invisible and always the same, so that CI finds its earlier comment. Rows that
    do not fit are left out, the least urgent first, and counted. limit: at least 4,000.
    """
    from markupsafe import Markup

    from lmspec.reports.templating import environment

    templates = environment(_printed, autoescape=False)
    templates.filters["code"] = lambda text: Markup(code(text, LONGEST))
    blocks = [block for block in _blocks(report) if block.table.rows]
    starts, total = {}, 0  # rows that are more urgent than a block's
    for block in sorted(blocks, key=lambda block: block.urgency):
        starts[block.table.title] = total
        total += len(block.table.rows)
    content = [
        (
            block,
            starts[block.table.title],
            [_row(row, block.table.columns) for row in block.table.rows],
        )
        for block in blocks
    ]
    template = templates.get_template("report.md.j2")
    with_rows = partial(template.render, report=report, marker=MARKER, blocks=content, total=total)

    whole = with_rows(count=total)
    if size(whole) <= limit:
        return whole
    fits = bisect_left(range(total), True, key=lambda count: size(with_rows(count=count)) > limit)
    return with_rows(count=fits - 1)


def _blocks(report: Report) -> Iterator[Block]:
    """In reading order."""
    ordered = words.ordered(report.metrics)
    first = [metric for metric in ordered if metric.verdict in words.SIGNIFICANT]
    same = [metric for metric in ordered if metric.verdict == "same"]
    rest = ordered[len(first) : len(ordered) - len(same)]
    note = words.explanation(ordered)
    yield Block(tables.gates(report), 0)
    for urgency, table in enumerate((made(report) for made in tables.CHANGES), start=5):
        yield Block(table, min(urgency, 7), folded=len(table.rows) > OPEN_ROWS)
    yield Block(tables.metrics(first, "metrics that differ", note=note), 3)
    yield Block(tables.flips(report), 2, folded=len(report.flips) > OPEN_ROWS)
    yield Block(tables.examples(report), 9, folded=True)
    yield Block(tables.slices(report, everything=False), 8, folded=True)
    yield Block(tables.ratios(report), 4)
    others = tables.metrics(rest, "other metrics", note="" if first else note)
    yield Block(others, 10, folded=True)
    yield Block(tables.metrics(same, "metrics that are the same"), 11, folded=True)
    notes = tuple(Row((words.line(note),)) for note in report.notes)
    yield Block(Table("notes", (Column("note", "text"),), notes), 1)


def _row(row: Row, columns: tuple[Column, ...]) -> str:
    cells = (cell(text, column) for text, column in zip(row.cells, columns, strict=True))
    return f"| {' | '.join(cells)} |"


def _printed(value: object) -> str:
    return prose(words.line(value))


def cell(text: str, column: Column) -> str:
    """A cell of a table, by the kind of its column."""
    if column.kind == "number" and NUMBERS.fullmatch(text):
        return text
    if column.kind == "name" or column.head == "text":
        return code(text, LONGEST)
    return prose(words.line(text, LONGEST))


def code(text: str, most: int) -> str:
    """As code, in which sites look for no mentions, links or pictures."""
    text = words.line(text, most)
    if not text:
        return ""
    harmless = CODE.fullmatch(text) and "##[" not in text
    return f"`{text}`" if harmless else f"<code>{_inert(text)}</code>"


def prose(text: str) -> str:
    """As prose, unless a site would find a link or a mention in it: then as code."""
    if HARMLESS.fullmatch(text) and not LINKED.search(text):
        return text
    return f"<code>{_inert(text)}</code>" if LINKED.search(text) else _inert(text)


def _inert(text: str) -> str:
    """Numeric references for all characters that mean something to Markdown or HTML."""
    return ACTIVE.sub(lambda match: f"&#{ord(match[0])};", text)


def size(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2
