"""paired: a metric of a test split, or its difference between two models: value, spread, test."""

import functools
import math
import operator
import sys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lmspec.statistics import bootstrap, exact, margins, predictions
from lmspec.statistics.bootstrap import Draws, Estimate, Floats, Ints, Statistic
from lmspec.statistics.predictions import Pairs, Predictions, Scale

ROUNDING = 1e-4  # of a metric: predictions are written with six digits
HIDDEN = 37  # log loss of the smallest probability that a float holds: -ln(1e-16)
PLANS = 8  # resamplings that are kept; one can have 200 MB


@dataclass(frozen=True)
class SplitMetric:
    """A metric of a test split, or of one of its tables.

    name   as `Scale.metric` knows it: `accuracy`, `f1.negative`
    table  None for the whole split
    """

    name: str
    table: str | None

    @property
    def of_answers(self) -> bool:
        """Does it follow from the answers alone, without their probabilities?"""
        return self.name in ("accuracy", "macro_f1") or self.name.startswith("f1.")

    @property
    def path(self) -> tuple[str, ...]:
        """Its path beneath the test split in the metrics."""
        steps = ("f1", self.name[3:]) if self.name.startswith("f1.") else (self.name,)
        return steps if self.table is None else ("table", self.table, *steps)


def split_metric(path: tuple[str, ...]) -> SplitMetric:
    """`("table", "movies", "f1", "negative")`, a path beneath a test split -> the metric."""
    table = path[1] if len(path) > 2 and path[0] == "table" else None
    return SplitMetric(".".join(path if table is None else path[2:]), table)


@dataclass
class PairedSample:
    """The predictions of two models on the examples of a test split that both scored.

    same  do they agree in every answer and probability, with no example left out?
    """

    pairs: Pairs
    scale: Scale
    same: bool
    _last: tuple[str, Draws] | None = field(default=None, init=False, repr=False)

    @functools.cached_property
    def _parts(self) -> Floats:
        """(n, 2 width): sums of the baseline, then of the candidate."""
        ends = (self.pairs.baseline, self.pairs.candidate)
        return np.concatenate([self.scale.parts(end) for end in ends], axis=1)

    @functools.cached_property
    def _draws(self) -> Draws:
        return bootstrap.draws(self._parts, plan(self.pairs.strata, self.pairs.groups))

    def strata(self, table: str | None) -> list[int]:
        """Numbers of the strata of a table, or of all; pairs of no table are in the last one."""
        if table is not None:
            return [self.pairs.tables.index(table)]
        return list(range(int(self.pairs.strata.max()) + 1))

    def rows(self, table: str | None) -> Ints:
        """Indices of the pairs of a table, or of all."""
        if table is None:
            return np.arange(len(self.pairs.strata))
        if table not in self.pairs.tables:
            return np.arange(0)
        return np.flatnonzero(self.pairs.strata == self.pairs.tables.index(table))

    def labelled(self, label: str) -> Ints:
        """Indices of the pairs of a class."""
        labels = self.pairs.candidate.label
        return np.asarray([i for i, name in enumerate(labels) if name == label], np.int64)

    def left_out(self, metric: SplitMetric) -> str | None:
        """Which examples the metric is not compared on, in words; None if none."""
        pairs = self.pairs
        counts = {
            "in one revision only": pairs.left_out,
            "relabelled": pairs.relabelled,
            "moved to another table": pairs.moved if metric.table is not None else 0,
        }
        parts = [f"{count:,} {why}" for why, count in counts.items() if count]
        return f"on the common examples; left out: {', '.join(parts)}" if parts else None

    @functools.cached_property
    def differing(self) -> NDArray[np.bool_]:
        """(n,) did the answer or one of its probabilities change?"""
        baseline, candidate = self.pairs.baseline, self.pairs.candidate
        answers = np.fromiter(
            map(operator.ne, baseline.predicted, candidate.predicted), np.bool_, len(baseline.id)
        )
        return np.asarray(
            answers
            | (baseline.confidence != candidate.confidence)
            | (baseline.label_probability != candidate.label_probability)
        )

    def difference(self, metric: SplitMetric) -> Estimate:
        """candidate - baseline."""
        return bootstrap.estimate(
            self._drawn(metric), self._statistic(metric), self.strata(metric.table)
        )

    def _drawn(self, metric: SplitMetric) -> Draws:
        """The sums that the metric follows from, baseline then candidate.

        The last one is kept, as a difference is tested right after it is estimated.
        """
        if self._last is None or self._last[0] != metric.name:
            columns = self.scale.columns(metric.name)
            columns = np.concatenate([columns, self.scale.width + columns])
            self._last = metric.name, self._draws.of(columns)
        return self._last[1]

    def _statistic(self, metric: SplitMetric) -> Statistic:
        half = len(self.scale.columns(metric.name))

        def statistic(sums: Floats) -> Floats:
            candidate = self.scale.metric(metric.name, sums[..., half:])
            return candidate - self.scale.metric(metric.name, sums[..., :half])

        return statistic

    def p(self, metric: SplitMetric, estimate: Estimate) -> tuple[float, str]:
        """(two-sided p, name of the test). Never 0: at least the smallest normal float."""
        p, method = self._tested(metric, estimate)
        return min(1.0, max(sys.float_info.min, p)), method

    def _tested(self, metric: SplitMetric, estimate: Estimate) -> tuple[float, str]:
        rows = self.rows(metric.table)
        groups = None if self.pairs.groups is None else self.pairs.groups[rows]
        if metric.name == "accuracy":
            # (rows,) 1: wrong -> right, -1: right -> wrong
            gained = self.pairs.candidate.right[rows].astype(np.int64)
            gained -= self.pairs.baseline.right[rows]
            if groups is None:
                positive, negative = int((gained > 0).sum()), int((gained < 0).sum())
                return exact.mcnemar(positive, negative), "McNemar, exact"
            sums = np.bincount(groups, weights=gained).astype(np.int64)
            return exact.sign_flip(sums), "sign flips of groups, exact"
        units = self._differing_units(metric)
        # of so few differing units no test can show more than one that flips the sign of each
        fewest = 2.0 ** (1 - units)
        p = max(bootstrap.corrected_p(estimate.p, units), fewest) if estimate.error else fewest
        return p, "paired bootstrap" + (" of groups" if groups is not None else "")

    def interval(
        self, metric: SplitMetric, estimate: Estimate, confidence: float
    ) -> tuple[float, float] | None:
        """Two-sided interval of the difference; None where its spread is unknown.

        Tango's for accuracy: with seven discordant pairs the bootstrap's covers in 93.7 % of cases.
        """
        ungrouped = metric.name == "accuracy" and self.pairs.groups is None
        if estimate.error and not ungrouped:
            return estimate.interval(confidence)
        if not metric.of_answers:
            return None
        below, above = self.margin(metric).at((1 + confidence) / 2)
        return estimate.value - below, estimate.value + above

    def margin(self, metric: SplitMetric) -> margins.Margin:
        """Exact limits of the difference of a metric of answers, by the discordant pairs."""
        rows = self.rows(metric.table)
        baseline, candidate = self.pairs.baseline.right[rows], self.pairs.candidate.right[rows]
        sums = self._parts[rows, self.scale.width :].sum(0)  # (width,) of the candidate
        label, effects = self.scale.classes(metric.name, self.pairs.candidate, rows, sums)
        worth = _worth(baseline != candidate, self.pairs.groups, rows)
        return margins.of_difference(baseline, candidate, label, effects, worth)

    def _differing_units(self, metric: SplitMetric) -> int:
        """Number of examples, or groups, whose sums for the metric differ."""
        drawn = self._drawn(metric).units
        units = np.concatenate([drawn[stratum] for stratum in self.strata(metric.table)])
        baseline, candidate = np.split(units, 2, axis=1)  # (units, columns) each
        return int((np.abs(candidate - baseline) > 1e-12).any(1).sum())


@dataclass
class Sample:
    """The predictions of one model on one test split."""

    predictions: Predictions
    scale: Scale

    @functools.cached_property
    def _strata(self) -> tuple[Ints, tuple[str, ...]]:
        return predictions.numbered(self.predictions.table)

    @functools.cached_property
    def _groups(self) -> Ints | None:
        return predictions.grouped(self.predictions)

    @functools.cached_property
    def _draws(self) -> Draws:
        return bootstrap.draws(self._parts, plan(self._strata[0], self._groups))

    @functools.cached_property
    def _parts(self) -> Floats:
        """(n, width)"""
        return self.scale.parts(self.predictions)

    @functools.cached_property
    def _sums(self) -> Floats:
        """(strata, width)"""
        strata, names = self._strata
        return np.stack([self._parts[strata == i].sum(0) for i in range(len(names))])

    def has(self, table: str | None) -> bool:
        """Is there an example of the table? None: of any."""
        return table is None or table in self.predictions.table

    def rows(self, table: str | None) -> Ints:
        """Indices of the examples of a table, or of all."""
        strata, names = self._strata
        if table is None:
            return np.arange(len(strata))
        return np.flatnonzero(strata == names.index(table))

    def _chosen(self, table: str | None) -> list[int]:
        """Numbers of the strata of a table, or of all."""
        names = self._strata[1]
        return list(range(len(names))) if table is None else [names.index(table)]

    def value(self, metric: SplitMetric) -> Estimate:
        """The metric with its bootstrap."""
        drawn = self._draws.of(self.scale.columns(metric.name))
        return bootstrap.estimate(
            drawn, lambda sums: self.scale.metric(metric.name, sums), self._chosen(metric.table)
        )

    def scatter(self, metric: SplitMetric, confidence: float) -> float:
        """Upper limit of how far a calibration error is above the true one.

        Chance in one bin never cancels chance in another, so by the triangle inequality it is at
        most the sum of the bins' deviations, whose distribution the replicates give.
        """
        drawn = self._draws.of(self.scale.columns(metric.name))
        chosen = self._chosen(metric.table)
        whole = drawn.whole[chosen].sum(0)  # (1 + bins,): examples, then the gap of each bin
        replicates = drawn.drawn[:, chosen].sum(1)  # (b, 1 + bins)
        off = np.abs(replicates[:, 1:] / replicates[:, :1] - whole[1:] / whole[0]).sum(1)  # (b,)
        units = sum(len(drawn.units[stratum]) for stratum in chosen)
        deviate = bootstrap.student_corrected(exact.NORMAL.inv_cdf(confidence), units)
        return float(np.quantile(off, exact.NORMAL.cdf(deviate)))

    def margin(self, metric: SplitMetric) -> margins.Margin:
        """Exact limits of a metric of answers, by how many are right."""
        rows = self.rows(metric.table)
        right, sums = self.predictions.right[rows], self._parts[rows].sum(0)
        label, effects = self.scale.classes(metric.name, self.predictions, rows, sums)
        return margins.of_level(right, label, effects, _worth(right, self._groups, rows))

    def plain(self, metric: SplitMetric) -> tuple[float, int]:
        """(the metric without its spread, number of examples)."""
        sums = self._sums[self._chosen(metric.table)].sum(0)  # (width,)
        value = self.scale.metric(metric.name, sums[self.scale.columns(metric.name)])
        return float(value), int(sums[0])

    def rounding(self, metric: SplitMetric) -> float:
        """How far six digits can move a log loss, probabilities written as 0 aside."""
        written = self.predictions.label_probability[self.rows(metric.table)]  # (n,)
        least = predictions.SMALLEST
        moved = np.where(written > 0, -np.log1p(-least / np.maximum(written, 2 * least)), 0.0)
        return ROUNDING + float(moved.mean())

    def slack(self, metric: SplitMetric) -> float:
        """How far a metric may be from its value by predictions with six digits."""
        if metric.name == "log_loss":
            zero = self.predictions.label_probability[self.rows(metric.table)] == 0
            hidden = HIDDEN + math.log(predictions.SMALLEST)
            return self.rounding(metric) + float(zero.mean()) * hidden
        if metric.name == "expected_calibration_error":  # two examples may fall in the next bin
            return ROUNDING + 2 / self.plain(metric)[1]
        return ROUNDING

    def size(self, table: str | None) -> int:
        """Number of examples."""
        return len(self.predictions.id) if table is None else self.predictions.table.count(table)


def _worth(hits: NDArray[np.bool_], groups: Ints | None, rows: Ints) -> float:
    """Independent examples that one of these is worth: 1, or less in groups."""
    if groups is None:
        return 1.0
    return exact.effective_size(hits, np.unique(groups[rows], return_inverse=True)[1]) / len(rows)


_plans: dict[tuple[bytes, bytes], bootstrap.Resampling] = {}


def plan(strata: Ints, groups: Ints | None) -> bootstrap.Resampling:
    """The same draws for every artifact that was scored on the same examples."""
    key = (strata.tobytes(), b"" if groups is None else groups.tobytes())
    if key not in _plans:
        if len(_plans) >= PLANS:
            _plans.pop(next(iter(_plans)))
        _plans[key] = bootstrap.resampling(strata, groups)
    return _plans[key]
