"""charts: where the marks of a figure go: forest plots, calibration, training curves, size against accuracy."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lmspec.compare.report import Calibration, Curve, Interval, Metric, Point, Report
from lmspec.language import metric_names
from lmspec.reports import words
from lmspec.specs.names import MetricName

KINDS = ("accuracy", "macro_f1", "f1", "log_loss", "expected_calibration_error")
CURVES = {"train_loss": "training loss", "dev_accuracy": "accuracy on the dev split"}
XY = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` on an axis of 100 units. ticks: round numbers with their texts."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float], padding: float = 0.08) -> "Scale":
        """Wide enough for all of them, with this share of the range free at each end."""
        numbers = list(values)
        low, high = min(numbers), max(numbers)
        free = (high - low) * padding or abs(high) / 2 or 1.0
        return cls(low - free, high + free)

    def at(self, value: float) -> float:
        """Where a number is; one beyond an end of the axis is at the end."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(place, text) of two to six multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(n for n in (1, 2, 5, 10) if n * power >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [(self.at(i * step), f"{i * step:.10g}") for i in range(first, last + 1)]


@dataclass(frozen=True)
class Mark:
    """One metric in a forest plot; places on the axis. region: where it begins, and how wide it is."""

    metric: Metric
    low: float
    value: float
    high: float
    region: XY | None
    reading: str


@dataclass(frozen=True)
class Forest:
    """Metrics of one kind on one axis, so that no loss shares an axis with an accuracy."""

    kind: str
    better: str
    scale: Scale
    marks: tuple[Mark, ...]


def kind(metric: Metric) -> str:
    """What a metric measures: `f1` of each label is one kind."""
    path = MetricName.parse(metric.name).path or (metric.name,)
    return next((step for step in reversed(path) if step in KINDS), path[-1])


def is_drawn(metric: Metric) -> bool:
    """Has it a difference with a finite interval?"""
    values = (metric.difference, *(metric.interval or (None,)))
    return all(value is not None and math.isfinite(value) for value in values)


def margins(report: Report) -> dict[str, float]:
    """Metric -> the smallest margin of a non-inferiority gate that is about it."""
    widths: dict[str, float] = {}
    for gate in report.gates:
        if gate.margin is not None:
            pattern = tuple(gate.metric.split("."))
            for metric in report.metrics:
                if metric_names.named(pattern, metric.name):
                    widths[metric.name] = min(gate.margin, widths.get(metric.name, math.inf))
    return widths


def forests(metrics: Sequence[Metric], margins: dict[str, float]) -> list[Forest]:
    """One per kind. Kinds and metrics stay in the order given."""
    kinds: dict[str, list[Metric]] = {}
    for metric in metrics:
        kinds.setdefault(kind(metric), []).append(metric)
    return [_forest(name, rows, margins) for name, rows in kinds.items()]


def _forest(name: str, metrics: Sequence[Metric], margins: dict[str, float]) -> Forest:
    scale = Scale.over([0.0, *(end for metric in metrics for end in metric.interval or ())])
    directions = {metric.better for metric in metrics}
    better = directions.pop() if len(directions) == 1 else None
    return Forest(
        name,
        f"{better} is better" if better else "",
        scale,
        tuple(
            _mark(metric, scale, margins.get(metric.name, metric.smallest)) for metric in metrics
        ),
    )


def _mark(metric: Metric, scale: Scale, region: float | None) -> Mark:
    low, high = metric.interval or (math.nan, math.nan)
    start = None if region is None else scale.at(-region)
    return Mark(
        metric,
        scale.at(low),
        scale.at(metric.difference or 0.0),
        scale.at(high),
        None if start is None or region is None else (start, scale.at(region) - start),
        f"interval {_beside_zero((low, high))} zero",
    )


def _beside_zero(interval: Interval) -> str:
    return "below" if interval[1] < 0 else "above" if interval[0] > 0 else "contains"


@dataclass(frozen=True)
class Series:
    """Points of one revision, places on both axes. label: beside the last one."""

    revision: str
    points: tuple[XY, ...]
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines on two axes. about: what it shows, in words."""

    about: str
    x_label: str
    y_label: str
    x: Scale
    y: Scale
    series: tuple[Series, ...]


def _chart(
    about: str, labels: tuple[str, str], lines: Sequence[tuple[str, Sequence[XY], str]]
) -> Chart | None:
    points = [point for _, line, _ in lines for point in line]
    if not points:
        return None
    x, y = (Scale.over(values, 0.05) for values in zip(*points, strict=True))
    placed = [
        Series(revision, tuple((x.at(a), y.at(b)) for a, b in line), label)
        for revision, line, label in lines
    ]
    return Chart(about, *labels, x, y, tuple(placed))


def calibration(model: Calibration) -> Chart | None:
    """Accuracy over confidence, per bin; on the diagonal a model knows how often it is right."""
    diagonal = ("ideal", ((0.0, 0.0), (1.0, 1.0)), "")
    lines = [
        (revision, [bin[:2] for bin in bins], "")
        for revision, bins in (("baseline", model.baseline), ("candidate", model.candidate))
    ]
    about = f"{model.artifact} on {model.dataset}: accuracy over confidence"
    return _chart(about, ("mean confidence", "accuracy"), [diagonal, *lines])


def curves(curve: Curve) -> Iterator[Chart]:
    """Training loss and dev accuracy over the steps, as far as they were written."""
    for column, title in CURVES.items():
        lines = [
            (revision, list(_finite(columns.get("step", ()), columns.get(column, ()))), "")
            for revision, columns in (("baseline", curve.baseline), ("candidate", curve.candidate))
        ]
        chart = _chart(f"{curve.artifact}: {title}", ("step", title), lines)
        if chart:
            yield chart


def _finite(steps: Sequence[float], values: Sequence[float]) -> Iterator[XY]:
    for point in zip(steps, values, strict=False):
        if all(map(math.isfinite, point)):
            yield point


def fronts(points: Sequence[Point]) -> Iterator[Chart]:
    """Size against accuracy, one chart per dataset; a line joins the two revisions of an artifact."""
    for dataset in dict.fromkeys(point.dataset for point in points):
        lines: list[tuple[str, Sequence[XY], str]] = []
        here = {
            (p.artifact, p.side): (p.bytes / 1e6, p.accuracy)
            for p in points
            if p.dataset == dataset
        }
        for artifact in dict.fromkeys(name for name, _ in here):
            ends = {side: here.get((artifact, side)) for side in ("baseline", "candidate")}
            known = [end for end in ends.values() if end]
            lines.append(("move", known, words.line(artifact, 40)))
            lines += [(side, [end], "") for side, end in ends.items() if end]
        chart = _chart(f"size against accuracy on {dataset}", ("size in MB", "accuracy"), lines)
        if chart:
            yield chart
