"""courseplot: metrics over the commits of a branch as one SVG, oldest commit first, with intervals."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmspec.history.trend import Course
from lmspec.reports import plots, words

LARGEST = 1e300  # matplotlib finds no ticks between the largest floats
MOST_NAMES = 30  # of commits below an axis


@plots.settings()
def svg(courses: Sequence[Course]) -> str:
    """The same courses give the same bytes, whatever the user's settings of matplotlib are."""
    figure = Figure(figsize=(9, 2.8 * len(courses)), layout="constrained")
    for axes, course in zip(
        figure.subplots(len(courses), 1, squeeze=False)[:, 0], courses, strict=True
    ):
        _draw(axes, course)
    return plots.drawn(figure)


def _draw(axes: Axes, course: Course) -> None:
    points = course.points[::-1]
    known = [
        (place, point, _within(point.value))
        for place, point in enumerate(points)
        if point.value is not None
    ]
    axes.plot(
        [place for place, _, _ in known],
        [value for _, _, value in known],
        color="#c8c8c8",
        linewidth=1,
        zorder=1,
    )
    for place, point, value in known:
        tone = words.TONES[point.verdict]
        if point.interval is not None and point.interval[0] < point.interval[1]:
            axes.plot(
                (place, place),
                tuple(map(_within, point.interval)),
                color=plots.COLOURS[tone],
                linewidth=1.6,
            )
        axes.plot(place, value, plots.MARKERS[tone], color=plots.COLOURS[tone], markersize=6)
    every = max(1, -(-len(points) // MOST_NAMES))
    names = [point.commit.short if place % every == 0 else "" for place, point in enumerate(points)]
    axes.set_xticks(range(len(points)), names, rotation=60, ha="right", fontsize=7)
    axes.set_xlim(-0.6, max(1, len(points)) - 0.4)
    way = f", {course.better} is better" if course.better else ""
    axes.set_title(words.line(course.metric, 100) + way, loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def _within(value: float) -> float:
    return max(-LARGEST, min(value, LARGEST))
