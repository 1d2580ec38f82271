"""markdown: a report as a comment on a pull request, of any length and with any texts."""

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import partial

from lmspec.compare.report import Report
from lmspec.errors import COMMANDS
from lmspec.reports import tables, words
from lmspec.reports.tables import Column, Row, Table

MARKER = "<!-- lmspec diff -->"
LONGEST = 300  # characters of a cell
# By urgency: title of a table -> rows up to which it is open. A longer one is shown on a click.
OPEN_ROWS = {
    "warnings": math.inf,
    "gates": math.inf,
    "notes": math.inf,
    "flips": 8,
    "metrics that differ": math.inf,
    "ratios": math.inf,
    "explanations": 8,
    "beside a constant answer and the linear baseline": 8,
    "beside the nearest training prompt": 8,
    "parameters": 8,
    "data": 8,
    "code": 8,
    "toolchain": 8,
    "artifacts": 8,
    "flips by class and table": 0,
    "negative flips": 0,
    "texts that are explained differently": 0,
    "words that gained or lost weight": 0,
    "other metrics": 0,
    "metrics that are the same": 0,
}
HARMLESS = re.compile(r"[A-Za-z0-9 .,:;()'=/%?-]*")
_IN_CODE = r"A-Za-z0-9.,;()'=/%?_>+:\[\]-"  # harmless between backticks
CODE = re.compile(rf"[{_IN_CODE}](?:[ {_IN_CODE}]*[{_IN_CODE}])?")
# GitHub and GitLab make links of these
LINKED = re.compile(r"[@#!$&%~^]\w|www\.|://|[A-Za-z]-\d|\b(?=\d*[a-f])[0-9a-f]{7}", re.IGNORECASE)
NUMBERS = re.compile(r"(?:[x0-9e+.,\[\]() >-]|inf|nan)*")
ACTIVE = re.compile(r":(?=//)|w(?=ww\.)|[^A-Za-z0-9 .,:;()'=/%?\u0080-\U0010ffff-]", re.IGNORECASE)


def render(report: Report, limit: int = 65_536) -> str:
    """Markdown of at most `limit` UTF-16 code units, the strictest way in which a site may count.

    The first line is invisible and always the same, so that CI finds its earlier comment. Rows that
    do not fit are left out, the least urgent first, and counted. limit: at least 4,000.
    """
    from markupsafe import Markup

    from lmspec.reports.templating import environment

    templates = environment(_printed, autoescape=False)
    templates.filters["code"] = lambda text: Markup(code(text, LONGEST))
    shown = {table.title: table for table in _tables(report)}
    starts, total = {}, 0  # rows that are more urgent than a table's
    for title in OPEN_ROWS:
        starts[title] = total
        total += len(shown[title].rows)
    content = [
        (table, starts[title], [table_row(row, table.columns) for row in table.rows])
        for title, table in shown.items()
    ]
    template = templates.get_template("report.md.j2")
    with_rows = partial(
        template.render,
        report=report,
        marker=MARKER,
        content=content,
        open_rows=OPEN_ROWS,
        total=total,
    )

    whole = with_rows(count=total)
    if size(whole) <= limit:
        return whole
    fits = bisect_left(range(total), True, key=lambda count: size(with_rows(count=count)) > limit)
    return with_rows(count=fits - 1)


def _tables(report: Report) -> Sequence[Table]:
    """In reading order."""
    ordered = words.ordered(report.metrics)
    first = [metric for metric in ordered if metric.verdict in words.SIGNIFICANT]
    same = [metric for metric in ordered if metric.verdict == "same"]
    rest = ordered[len(first) : len(ordered) - len(same)]
    note = words.explanation(ordered)
    return [
        tables.warnings(report),
        tables.gates(report),
        *(made(report) for made in tables.CHANGES),
        tables.metrics(first, "metrics that differ", note=note),
        tables.flips(report),
        tables.examples(report),
        tables.slices(report, everything=False),
        tables.drifts(report),
        tables.moved(report),
        tables.weights(report),
        tables.ratios(report),
        tables.standings(report),
        tables.beside_nearest(report),
        tables.metrics(rest, "other metrics", note="" if first else note),
        tables.metrics(same, "metrics that are the same"),
        tables.notes(report),
    ]


def table_row(row: Row, columns: tuple[Column, ...]) -> str:
    """A line of a table."""
    cells = (_cell(text, column) for text, column in zip(row.cells, columns, strict=True))
    return f"| {' | '.join(cells)} |"


def _printed(value: object) -> str:
    return prose(words.line(value))


def _cell(text: str, column: Column) -> str:
    """By the kind of its column."""
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
    harmless = CODE.fullmatch(text) and not COMMANDS.search(text)
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
