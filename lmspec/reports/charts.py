"""charts: what the figures of the page show: forest plots, calibration, training, size."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lmspec.compare.report import Calibration, Curve, Metric, Point, Report
from lmspec.compare.revision import number
from lmspec.language import metric_names
from lmspec.reports import words
from lmspec.specs.names import MetricName

KINDS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "f1",
    "log_loss",
    "expected_calibration_error",
)
CURVES = {"train_loss": "training loss", "dev_accuracy": "accuracy on the dev split"}
XY = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` on an axis of 100 units."""

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
class Forest:
    """Metrics of one kind on one axis, so that no loss shares an axis with an accuracy.

    margins  metric -> how large a loss its gate allows
    """

    kind: str
    metrics: tuple[Metric, ...]
    margins: Mapping[str, float]

    @property
    def scale(self) -> Scale:
        """Zero and every interval are on it."""
        return Scale.over([0.0, *(end for m in self.metrics for end in m.interval or ())])

    @property
    def better(self) -> str:
        """`higher is better`; empty if the metrics have no direction in common."""
        directions = {metric.better for metric in self.metrics}
        return f"{directions.pop()} is better" if len(directions) == 1 else ""

    def region(self, metric: Metric) -> float | None:
        """A difference of no effect: the margin of its gate, else the MDE."""
        return self.margins.get(metric.name, metric.mde)


def kind(metric: Metric) -> str:
    """What a metric measures: `f1` of each label is one kind."""
    path = MetricName.parse(metric.name).path or (metric.name,)
    return next((step for step in reversed(path) if step in KINDS), path[-1])


def is_drawn(metric: Metric) -> bool:
    """Has it a difference with a finite interval?"""
    return None not in map(number, (metric.difference, *(metric.interval or (None,))))


def margins(report: Report) -> dict[str, float]:
    """Metric -> the smallest margin of a non-inferiority gate that is about it."""
    widths = [
        (gate.margin, metric.name)
        for gate in report.gates
        for metric in report.metrics
        if gate.margin is not None and metric_names.named(gate.metric, metric.name)
    ]
    return {name: margin for margin, name in sorted(widths, reverse=True)}


def forests(metrics: Sequence[Metric], margins: Mapping[str, float]) -> list[Forest]:
    """One per kind. Kinds and metrics stay in the order given."""
    kinds: dict[str, list[Metric]] = {}
    for metric in metrics:
        kinds.setdefault(kind(metric), []).append(metric)
    return [Forest(name, tuple(rows), margins) for name, rows in kinds.items()]


class Series(NamedTuple):
    """Points of one revision, or a line to compare with. label: beside the last point."""

    role: Literal["baseline", "candidate", "ideal", "move"]
    points: Sequence[XY]
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines on two axes. about: what it shows, in words; there is at least one point."""

    about: str
    x_label: str
    y_label: str
    series: Sequence[Series]

    @property
    def scales(self) -> list[Scale]:
        """Of x and of y."""
        points = [point for series in self.series for point in series.points]
        return [Scale.over(values, 0.05) for values in zip(*points, strict=True)]


def calibration(model: Calibration) -> Chart:
    """Accuracy over confidence, per bin; on the diagonal a model knows how often it is right."""
    about = f"{model.artifact} on {model.dataset}: accuracy over confidence"
    series = [
        Series("ideal", [(0.0, 0.0), (1.0, 1.0)]),
        Series("baseline", [bin[:2] for bin in model.baseline]),
        Series("candidate", [bin[:2] for bin in model.candidate]),
    ]
    return Chart(about, "mean confidence", "accuracy", series)


def curves(curves: Iterable[Curve]) -> Iterator[Chart]:
    """Training loss and dev accuracy over the steps, as far as they were written."""
    for curve, (column, title) in itertools.product(curves, CURVES.items()):
        series = [
            Series("baseline", _points(curve.baseline, column)),
            Series("candidate", _points(curve.candidate, column)),
        ]
        if any(line.points for line in series):
            yield Chart(f"{curve.artifact}: {title}", "step", title, series)


def _points(columns: Mapping[str, Sequence[float]], column: str) -> Sequence[XY]:
    points = zip(columns.get("step", ()), columns.get(column, ()), strict=False)
    return [point for point in points if all(map(math.isfinite, point))]


def fronts(points: Sequence[Point]) -> Iterator[Chart]:
    """Size against accuracy, one chart per dataset; a line joins the revisions of an artifact."""
    datasets: dict[str, dict[str, list[Point]]] = {}
    for point in sorted(points, key=lambda point: point.revision):
        datasets.setdefault(point.dataset, {}).setdefault(point.artifact, []).append(point)
    for dataset, artifacts in datasets.items():
        series = []
        for artifact, ends in artifacts.items():
            places = [(end.bytes / 1e6, end.accuracy) for end in ends]
            series.append(Series("move", places, words.line(artifact, 40)))
            series += [Series(end.revision, [at]) for end, at in zip(ends, places, strict=True)]
        yield Chart(f"size against accuracy on {dataset}", "size in MB", "accuracy", series)
