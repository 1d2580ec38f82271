"""trends: metrics over the commits of a branch as text, Markdown and JSON, and on a terminal."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmspec.errors import harmless
from lmspec.history.trend import Point, Trend
from lmspec.reports import aligned, markdown, tables, terminal, values, words
from lmspec.reports.tables import Table

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

BLOCKS, NONE = "▁▂▃▄▅▆▇█", "·"
COLUMNS = (
    "commit:name|date:text|value:number|95 %:number|change:number|verdict:verdict|subject:text"
    "|remark:text"
)
UNWRAPPED = ("commit", "date", "verdict")
SUBJECT, REMARK = 60, 160  # characters


def _table(trend: Trend) -> Table:
    rows = (
        (
            point.commit.short,
            point.commit.day,
            point.value,
            _interval(point),
            words.signed(point.difference, point.value),
            point.verdict,
            words.line(point.commit.subject, SUBJECT),
            point.reason and words.line(point.reason, REMARK),
        )
        for point in trend.points
    )
    tones = (words.TONES[point.verdict] for point in trend.points)
    return tables.table(trend.metric, COLUMNS, rows, tones)


def _interval(point: Point) -> str:
    if point.interval is None:
        return ""
    low, high = point.interval
    return "exact" if low == high else f"[{words.number(low)}, {words.number(high)}]"


def better(trend: Trend) -> str:
    """`, higher is better`; empty if the metric has no direction."""
    return f", {trend.better} is better" if trend.better else ""


def plain(trends: Sequence[Trend]) -> str:
    """A block per metric, newest commit first."""
    blocks = (
        [
            words.line(trend.metric) + better(trend),
            *aligned.lines(_table(trend)),
            *map(_note, trend.notes),
        ]
        for trend in trends
    )
    return harmless("\n\n".join(map("\n".join, blocks)))


def _note(text: str) -> str:
    return f"note: {words.line(text)}"


def sparkline(values: Sequence[float | None]) -> str:
    """One block per value, scaled between the lowest and the highest; a dot for None."""
    known = [value for value in values if value is not None]
    # halves: their difference is finite even between the largest floats
    low, high = min(known, default=0) / 2, max(known, default=0) / 2
    top, span = len(BLOCKS) - 1, high - low
    return "".join(
        NONE if v is None else BLOCKS[round((v / 2 - low) / span * top) if span else top // 2]
        for v in values
    )


def render(trends: Sequence[Trend]) -> "Group":
    """For a terminal, in colour, with a sparkline from the oldest commit shown to the newest."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for trend in trends:
        parts += [
            Text(words.line(trend.metric) + better(trend), style="bold"),
            Text(sparkline([point.value for point in reversed(trend.points)])),
            terminal.rich_table(_table(trend), UNWRAPPED),
            *(Text(_note(note), style="dim") for note in trend.notes),
            Text(),
        ]
    return Group(*parts[:-1])


def as_markdown(trends: Sequence[Trend]) -> str:
    """A table per metric."""
    return "\n\n".join("\n".join(_markdown(trend)) for trend in trends)


def _markdown(trend: Trend) -> list[str]:
    table = _table(trend)
    lines = [f"**{markdown.code(trend.metric, REMARK)}{better(trend)}**", ""]
    if table.rows:
        heads = [column.head for column in table.columns]
        rules = ["---:" if column.kind == "number" else "---" for column in table.columns]
        lines += [f"| {' | '.join(row)} |" for row in (heads, rules)]
        lines += [markdown.table_row(row, table.columns) for row in table.rows]
    return [*lines, *(f"\n{markdown.prose(_note(note))}" for note in trend.notes)]


def as_json(trends: Sequence[Trend]) -> str:
    """`{"metrics": [...]}`, each with its points, newest first."""
    return json.dumps(values.finite({"metrics": trends}), indent=2, allow_nan=False)
