"""courses: a metric over the commits of a branch as text, Markdown, JSON, and on a terminal."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from lmspec.history.trend import Course, Point
from lmspec.reports import aligned, markdown, terminal, values, words
from lmspec.reports.tables import Column, Row, Table

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

BLOCKS, NONE = "▁▂▃▄▅▆▇█", "·"
COLUMNS = (
    Column("commit", "name"),
    Column("date", "text"),
    Column("value", "number"),
    Column("95 %", "number"),
    Column("change", "number"),
    Column("verdict", "verdict"),
    Column("subject", "text"),
    Column("remark", "text"),
)
WHOLE = ("commit", "date", "verdict")  # columns in which nothing is folded
SUBJECT, REMARK = 60, 160  # characters


def _table(course: Course) -> Table:
    return aligned.table(course.metric, COLUMNS, map(_row, course.points))


def _row(point: Point) -> Row:
    cells = (
        point.commit.short,
        point.commit.day,
        words.number(point.value),
        _interval(point),
        words.signed(point.difference, point.value),
        point.verdict,
        words.line(point.commit.subject, SUBJECT),
        words.line(point.reason or "", REMARK),
    )
    return Row(cells, words.TONES[point.verdict])


def _interval(point: Point) -> str:
    if point.interval is None:
        return ""
    low, high = point.interval
    return "exact" if low == high else f"[{words.number(low)}, {words.number(high)}]"


def _better(course: Course) -> str:
    return f", {course.better} is better" if course.better else ""


def plain(courses: Sequence[Course]) -> str:
    """A block for each metric, newest commit first."""
    blocks = (
        [
            words.line(course.metric) + _better(course),
            *aligned.lines(_table(course)),
            *map(_note, course.notes),
        ]
        for course in courses
    )
    return aligned.harmless("\n\n".join(map("\n".join, blocks)))


def _note(text: str) -> str:
    return f"note: {words.line(text)}"


def sparkline(values: Sequence[float | None]) -> str:
    """A block as high as each value lies between the lowest and the highest; a dot where there is none."""
    known = [value for value in values if value is not None]
    low, high = (
        (min(known) / 2, max(known) / 2) if known else (0.0, 0.0)
    )  # a difference of halves is always finite
    top, span = len(BLOCKS) - 1, high - low
    return "".join(
        NONE if v is None else BLOCKS[round((v / 2 - low) / span * top) if span else top // 2]
        for v in values
    )


def render(courses: Sequence[Course]) -> "Group":
    """For a terminal: with a line of blocks from the oldest commit that is shown to the newest, and colours."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for course in courses:
        blocks = sparkline([point.value for point in reversed(course.points)])
        parts += [
            Text(words.line(course.metric) + _better(course), style="bold"),
            Text(blocks),
            terminal.rich_table(_table(course), WHOLE),
        ]
        parts += [Text(_note(note), style="dim") for note in course.notes] + [Text()]
    return Group(*parts[:-1])


def as_markdown(courses: Sequence[Course]) -> str:
    """A table for each metric."""
    return "\n\n".join("\n".join(_markdown(course)) for course in courses)


def _markdown(course: Course) -> list[str]:
    shown = _table(course)
    found = [f"**{markdown.code(course.metric, REMARK)}{_better(course)}**", ""]
    if shown.rows:
        rules = ("---:" if column.kind == "number" else "---" for column in shown.columns)
        found += [
            f"| {' | '.join(column.head for column in shown.columns)} |",
            f"| {' | '.join(rules)} |",
        ]
    for row in shown.rows:
        cells = zip(row.cells, shown.columns, strict=True)
        found.append(f"| {' | '.join(markdown.cell(cell, column) for cell, column in cells)} |")
    return [*found, *(f"\n{markdown.prose(_note(note))}" for note in course.notes)]


def as_json(courses: Sequence[Course]) -> str:
    """`{"metrics": [...]}`, each with its points, newest first."""
    return json.dumps(
        {"metrics": [values.finite(asdict(course)) for course in courses]},
        indent=2,
        allow_nan=False,
    )
