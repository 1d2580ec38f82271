"""plots: figures of a report as SVG: intervals, calibration, curves of training, the front of size against accuracy."""

import contextlib
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, StrMethodFormatter

from lmspec.compare.report import Calibration, Curve, Metric, Point
from lmspec.reports import words

# Real text, in whichever sans-serif the reader has: it can be searched and read aloud, and holds every script.
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lmspec",
    "font.size": 9,
    "text.parse_math": False,
}
NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
BLUE, RED, GREY, BLACK = (
    "#0072b2",
    "#d55e00",
    "#6b6b6b",
    "#1a1a1a",
)  # Okabe & Ito: told apart by colour-blind readers
OLD: dict[str, Any] = {
    "color": GREY,
    "marker": "o",
    "linestyle": "--",
    "markerfacecolor": "white",
    "label": "old",
}
NEW: dict[str, Any] = {"color": BLUE, "marker": "s", "linestyle": "-", "label": "new"}
COLOURS: dict[words.Tone, str] = {"good": BLUE, "bad": RED, "unsure": GREY, "plain": GREY}
MARKERS: dict[words.Tone, str] = {"good": "^", "bad": "v", "unsure": "s", "plain": "o"}
KINDS = ("accuracy", "macro_f1", "f1", "log_loss", "expected_calibration_error")
MOST_ROWS = 40  # of one figure of intervals
LONGEST = 48  # characters of a name in a figure
TAG = re.compile("<[^>]*>")
ID = re.compile(r'(\bid="|href="#|url\(#)')
NAMESPACE = re.compile(r' xmlns(?::\w+)?="[^"]*"')  # a page in HTML needs none


@dataclass(frozen=True)
class Drawing:
    """svg: without what stands before its root element; about: what it shows, in words."""

    svg: str
    about: str


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """matplotlib's own settings and these, whatever the user's are: the same report gives the same bytes everywhere."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def drawn(figure: Figure) -> str:
    """The figure as a file."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing", UserWarning
        )  # the reader's fonts will have it
        figure.savefig(out, format="svg", metadata=NO_METADATA)
    return out.getvalue()


def _svg(figure: Figure, name: str) -> str:
    svg = drawn(figure)
    return TAG.sub(
        lambda tag: ID.sub(rf"\g<1>{name}-", NAMESPACE.sub("", tag[0])), svg[svg.index("<svg") :]
    )


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def kind(metric: Metric) -> str:
    """What a metric measures, so that accuracies share an axis and a loss is not among them."""
    parts = metric.name.split(".")[2:] or [metric.name]
    return next((part for part in reversed(parts) if part in KINDS), parts[-1])


def tested(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """Artifact -> its metrics that have a finite interval; what needs a look first."""
    found: dict[str, list[Metric]] = {}
    for metric in words.ordered(metrics):
        values = (metric.difference, *(metric.interval or (math.nan,)))
        if all(value is not None and math.isfinite(value) for value in values):
            found.setdefault(".".join(metric.name.split(".")[:2]), []).append(metric)
    return found


@settings()
def intervals(artifact: str, metrics: Sequence[Metric], name: str) -> Drawing:
    """Difference and 95 % interval of one artifact's metrics, each kind of metric on an axis of its own.

    name  begins the ids in the drawing: no two drawings of a page may have the same
    """
    shown = metrics[:MOST_ROWS]
    names = sorted(
        {kind(metric) for metric in shown},
        key=lambda name: (KINDS.index(name) if name in KINDS else len(KINDS), name),
    )
    kinds = {name: [metric for metric in shown if kind(metric) == name] for name in names}
    heights = [len(rows) + 1.5 for rows in kinds.values()]
    figure = Figure(figsize=(9, 0.22 * sum(heights) + 0.55 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), 1, squeeze=False, height_ratios=heights)
    for axes, (what, rows) in zip(grid[:, 0], kinds.items(), strict=True):
        _forest(axes, what, rows, len(artifact) + 1)
    more = len(metrics) - MOST_ROWS
    rest = f"; {more} more are in the table alone" if more > 0 else ""
    return Drawing(
        _svg(figure, name),
        f"{artifact}: difference (new - old) with its 95 % interval, per metric{rest}",
    )


def _forest(axes: Axes, what: str, rows: Sequence[Metric], prefix: int) -> None:
    axes.axvline(0, color=BLACK, linewidth=0.8)
    for place, metric in enumerate(rows):
        tone = words.TONES[metric.verdict]
        if metric.difference is not None and metric.interval is not None:
            axes.plot(metric.interval, (place, place), color=COLOURS[tone], linewidth=1.6)
            axes.plot(metric.difference, place, MARKERS[tone], color=COLOURS[tone], markersize=6)
        axes.annotate(
            metric.verdict,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=COLOURS[tone],
        )
    axes.set_yticks(
        range(len(rows)), [words.line(metric.name[prefix:], LONGEST) for metric in rows]
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.08)
    directions = {f", {metric.better} is better" for metric in rows if metric.better}
    axes.set_title(
        words.line(what, LONGEST) + (directions.pop() if len(directions) == 1 else ""),
        loc="left",
        fontsize=9,
    )
    _plain(axes)


@settings()
def reliability(calibration: Calibration, name: str) -> Drawing:
    """Accuracy over confidence, per bin; on the diagonal a model knows how often it is right."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")
    for look, bins in ((OLD, calibration.baseline), (NEW, calibration.candidate)):
        axes.plot(
            [confidence for confidence, _, _ in bins], [accuracy for _, accuracy, _ in bins], **look
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence", ylabel="accuracy", aspect="equal")
    axes.legend(loc="upper left", frameon=False)
    _plain(axes)
    about = f"{words.line(calibration.artifact)} on {words.line(calibration.dataset)}: accuracy over confidence, old and new"
    return Drawing(_svg(figure, name), about)


@settings()
def training(curve: Curve, name: str) -> Drawing | None:
    """Loss of training and accuracy on the dev split over the steps; None if neither was written."""
    wanted = {"train_loss": "training loss", "dev_accuracy": "accuracy on the dev split"}
    shown = {
        c: title
        for c, title in wanted.items()
        if _points(curve.baseline, c) or _points(curve.candidate, c)
    }
    if not shown:
        return None
    figure = Figure(figsize=(4.5 * len(shown), 3.2), layout="constrained")
    for axes, (column, title) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        for look, side in ((OLD, curve.baseline), (NEW, curve.candidate)):
            points = _points(side, column)
            axes.plot([x for x, _ in points], [y for _, y in points], **look)
        axes.set(xlabel="step", ylabel=title)
        axes.legend(frameon=False)
        _plain(axes)
    return Drawing(
        _svg(figure, name),
        f"{words.line(curve.artifact)}: {' and '.join(shown.values())} over the steps, old and new",
    )


def _points(side: Mapping[str, Sequence[float]], column: str) -> list[tuple[float, float]]:
    pairs = zip(side.get("step", ()), side.get(column, ()), strict=False)
    return [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


@settings()
def front(dataset: str, points: Sequence[Point], name: str) -> Drawing:
    """Size against accuracy on one test split; an arrow leads from an artifact's old point to its new one."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sides = {(point.artifact, point.side): point for point in points}
    for (artifact, side), point in sides.items():
        axes.plot(
            point.bytes / 1e6,
            point.accuracy,
            **({**(OLD if side == "baseline" else NEW), "label": None}),
        )
        new = sides.get((artifact, "candidate"))
        if (
            side == "baseline"
            and new is not None
            and (new.bytes, new.accuracy) != (point.bytes, point.accuracy)
        ):
            ends = [(p.bytes / 1e6, p.accuracy) for p in (point, new)]
            axes.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "->", "color": GREY})
        if side == "candidate" or new is None:
            place = (point.bytes / 1e6, point.accuracy)
            axes.annotate(
                words.line(artifact, LONGEST), place, (6, 4), textcoords="offset points", fontsize=8
            )
    if all(point.bytes > 0 for point in points):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
    axes.set(xlabel="size in MB", ylabel="accuracy")
    axes.margins(x=0.25, y=0.15)
    axes.legend(handles=[Line2D([], [], **look) for look in (OLD, NEW)], frameon=False)
    _plain(axes)
    return Drawing(
        _svg(figure, name), f"size against accuracy on {words.line(dataset)}, old and new"
    )
