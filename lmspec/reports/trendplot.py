"""trendplot: metrics over the commits of a branch as one SVG with intervals, oldest first."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmspec.history.trend import Trend
from lmspec.reports import plots, words
from lmspec.reports.trends import better

LARGEST = 1e300  # matplotlib places no ticks between the largest floats
MOST_NAMES = 30  # commits named below an axis


@plots.settings()
def svg(trends: Sequence[Trend]) -> str:
    """The same trends give the same bytes, whatever the user's matplotlib settings are."""
    figure = Figure(figsize=(9, 2.8 * len(trends)), layout="constrained")
    rows = figure.subplots(len(trends), 1, squeeze=False)
    for axes, trend in zip(rows[:, 0], trends, strict=True):
        _draw(axes, trend)
    return plots.drawn(figure)


def _draw(axes: Axes, trend: Trend) -> None:
    points = trend.points[::-1]
    known = [
        (x, point, _clipped(point.value))
        for x, point in enumerate(points)
        if point.value is not None
    ]
    axes.plot([k[0] for k in known], [k[2] for k in known], color="#c8c8c8", linewidth=1, zorder=1)
    for x, point, value in known:
        tone = words.TONES[point.verdict]
        colour = plots.COLOURS[tone]
        if point.interval is not None and point.interval[0] < point.interval[1]:
            ends = tuple(map(_clipped, point.interval))
            axes.plot((x, x), ends, color=colour, linewidth=1.6)
        axes.plot(x, value, plots.MARKERS[tone], color=colour, markersize=6)
    every = max(1, -(-len(points) // MOST_NAMES))
    names = [point.commit.short if x % every == 0 else "" for x, point in enumerate(points)]
    axes.set_xticks(range(len(points)), names, rotation=60, ha="right", fontsize=7)
    axes.set_xlim(-0.6, max(1, len(points)) - 0.4)
    title = words.line(trend.metric, 100) + better(trend)
    axes.set_title(title, loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def _clipped(value: float) -> float:
    return max(-LARGEST, min(value, LARGEST))
