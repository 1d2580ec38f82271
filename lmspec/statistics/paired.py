"""paired: a metric of a test split, or its difference between two models: value, spread, test."""

import functools
import math
import operator
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from lmspec.statistics import bootstrap, exact, margins, predictions
from lmspec.statistics.answers import PASS_RATE, PER_BYTE
from lmspec.statistics.arrays import Bools, Floats, Interval, Ints
from lmspec.statistics.bootstrap import Draws, Estimate
from lmspec.statistics.predictions import Pairs
from lmspec.statistics.sides import Measure, Side

COUNTED = ("accuracy", "exact_match", PASS_RATE, PER_BYTE)  # shares of right answers
OF_ANSWERS = (*COUNTED, *predictions.AVERAGED)
NAMED = ("f1", "own")  # metrics that are followed by a name
PLANS = 8  # resamplings that are kept; one can have 200 MB


@dataclass(frozen=True)
class SplitMetric:
    """A metric of a test split, or of one of its tables.

    name   as `Measure.metric` knows it: `accuracy`, `f1.negative`
    table  None for the whole split
    """

    name: str
    table: str | None

    @property
    def of_answers(self) -> bool:
        """Does it follow from the answers alone, without their probabilities?"""
        return self.name in OF_ANSWERS or self.name.startswith("f1.")

    @property
    def path(self) -> tuple[str, ...]:
        """Its path beneath the test split in the metrics."""
        group, _, name = self.name.partition(".")
        steps = (group, name) if group in NAMED and name else (self.name,)
        return steps if self.table is None else ("table", self.table, *steps)


def split_metric(path: tuple[str, ...]) -> SplitMetric:
    """`("table", "movies", "f1", "negative")`, a path beneath a test split -> the metric."""
    table = path[1] if len(path) > 2 and path[0] == "table" else None
    return SplitMetric(".".join(path if table is None else path[2:]), table)


@dataclass
class PairedSample:
    """The answers of two models to the examples of a test split that both scored.

    same   do they agree in every answer and number, with no example left out?
    worth  independent examples that one counts for, apart from groups
    """

    pairs: Pairs
    scale: Measure
    same: bool
    worth: float = 1.0

    @functools.cached_property
    def _parts(self) -> Floats:
        """(n, 2 width): sums of the baseline, then of the candidate."""
        ends = (self.pairs.baseline, self.pairs.candidate)
        return np.concatenate([self.scale.parts(end) for end in ends], axis=1)

    @functools.cached_property
    def _draws(self) -> Draws:
        return bootstrap.draws(self._parts, plan(self.pairs.strata.numbers, self.pairs.groups))

    def rows(self, table: str | None) -> Ints:
        """Indices of the pairs of a table, or of all."""
        return self.pairs.strata.rows(table)

    def labelled(self, label: str) -> Ints:
        """Indices of the pairs of a class."""
        labels = self.pairs.candidate.label
        return np.asarray([i for i, name in enumerate(labels) if name == label], np.int64)

    def no_example(self, metric: SplitMetric) -> str | None:
        """`no example of 'rare'` if the metric's class or table has no pair; else None."""
        return _no_example(metric, self.pairs.candidate, self.rows(metric.table))

    def unscored(self, metric: SplitMetric) -> str | None:
        """Which labels an average leaves out, since they have no example; None if none."""
        rows = self.rows(metric.table)
        return _unscored(metric, self.scale, self.pairs.candidate, rows)

    def left_out(self, metric: SplitMetric) -> str | None:
        """Which examples the metric is not compared on, in words; None if none."""
        pairs = self.pairs
        had = pairs.gone + pairs.relabelled + len(pairs.baseline.id)
        counts = {
            f"gone, of {had:,}": pairs.gone,
            "new": pairs.left_out - pairs.gone,
            pairs.candidate.relabelled: pairs.relabelled,
            "moved to another table": pairs.moved if metric.table is not None else 0,
        }
        parts = [f"{count:,} {why}" for why, count in counts.items() if count]
        return f"on the common examples; left out: {', '.join(parts)}" if parts else None

    @functools.cached_property
    def _answered(self) -> Bools:
        """(n,) did the answer change?"""
        baseline, candidate = self.pairs.baseline.predicted, self.pairs.candidate.predicted
        return np.fromiter(map(operator.ne, baseline, candidate), np.bool_, len(baseline))

    @functools.cached_property
    def differing(self) -> Bools:
        """(n,) did the answer or a number beside it change, such as its probability?"""
        return np.asarray(self._answered | self.pairs.baseline.differs(self.pairs.candidate))

    def unchanged(self, metric: SplitMetric) -> bool:
        """Is everything that the metric depends on the same: the answers, or also their numbers?"""
        if metric.of_answers and metric.name != PER_BYTE:
            changed = self._answered
        elif self.scale.labels:
            changed = self.differing
        else:  # another text may have as much in common with the reference, and losses need none
            changed = self.pairs.baseline.differs(self.pairs.candidate, metric.name)
        return self.left_out(metric) is None and not changed[self.rows(metric.table)].any()

    def is_constant(self, metric: SplitMetric) -> bool:
        """Is the difference 0, on any test set: the same answers, or the same numbers of texts?"""
        of_numbers = not self.scale.labels and not metric.of_answers
        return self.same or (of_numbers and self.unchanged(metric))

    def _columns(self, metric: SplitMetric) -> Ints:
        """Indices of the sums of one revision that the metric needs."""
        rows = self.rows(metric.table)
        return _columns(metric, self.scale, self.pairs.candidate, rows)

    def difference(self, metric: SplitMetric) -> Estimate:
        """candidate - baseline."""

        def statistic(sums: Floats) -> Floats:
            baseline, candidate = (
                self.scale.metric(metric.name, end) for end in np.split(sums, 2, axis=-1)
            )
            return candidate - baseline

        columns = self._columns(metric)
        drawn = self._draws.of(np.concatenate([columns, self.scale.width + columns]))
        found = bootstrap.estimate(drawn, statistic, self.pairs.strata.of(metric.table))
        return found.stretched(self.worth)

    def p(self, metric: SplitMetric, estimate: Estimate) -> tuple[float, str]:
        """(two-sided p, name of the test). Never 0: at least the smallest normal float."""
        rows, groups = self.rows(metric.table), self.pairs.groups
        if metric.name in COUNTED:
            # (rows,) 1: wrong -> right, -1: right -> wrong
            gained = self.pairs.candidate.rights(metric.name)[rows].astype(np.int64)
            gained -= self.pairs.baseline.rights(metric.name)[rows]
            method = "McNemar, exact"
            if groups is not None:
                gained = np.bincount(groups[rows], weights=gained).astype(np.int64)
                method = "sign flips of groups, exact"
            p = exact.of_fewer(exact.sign_flip(gained), self.worth)
        else:
            units = self._differing_units(metric)
            # of so few differing units no test can show more than one that flips the sign of each
            p = max(2.0 ** (1 - units), estimate.typical_p)
            if estimate.error:
                p = max(bootstrap.corrected_p(estimate.p, units), p)
            method = "paired bootstrap" + (" of groups" if groups is not None else "")
        return min(1.0, max(sys.float_info.min, p)), method

    def interval(
        self, metric: SplitMetric, estimate: Estimate, confidence: float
    ) -> Interval | None:
        """Two-sided interval of the difference; None where its spread is unknown.

        Tango's for a share of right answers: with seven discordant pairs the bootstrap's covers in
        93.7 % of cases.
        It contains 0 unless the test of `p` rejects at its level.
        """
        level = 1 - confidence
        if math.isinf(estimate.typical(level / 2)):
            return None
        low, high = math.inf, -math.inf
        if estimate.error and (metric.name not in COUNTED or self.pairs.groups is not None):
            low, high = estimate.interval(confidence)
        if metric.of_answers and (low > high or self._has_rare_class(metric)):
            below, above = self.margin(metric).at(1 - level / 2)
            low, high = min(low, estimate.value - below), max(high, estimate.value + above)
        if low > high:
            return None
        if self.p(metric, estimate)[0] > level:
            return min(low, 0.0), max(high, 0.0)
        return low, high

    def _has_rare_class(self, metric: SplitMetric) -> bool:
        """Does a class have so few examples that replicates say little about its F1?"""
        rows = self.rows(metric.table)
        if not self.scale.labels:  # all answers are of one class
            return len(rows) <= bootstrap.FEW_UNITS
        classes = Counter(self.pairs.candidate.label[i] for i in rows)
        return min(classes.values()) <= bootstrap.FEW_UNITS

    def margin(self, metric: SplitMetric) -> margins.Margin:
        """Exact limits of the difference of a metric of answers, by the discordant pairs."""
        rows = self.rows(metric.table)
        baseline, candidate = (
            end.rights(metric.name)[rows] for end in (self.pairs.baseline, self.pairs.candidate)
        )
        sums = self._parts[rows, self.scale.width :].sum(0)  # (width,) of the candidate
        label, effects = self.scale.classes(metric.name, self.pairs.candidate, rows, sums)
        worth = independent(baseline != candidate, self.pairs.groups, rows) / len(rows)
        return margins.of_difference(baseline, candidate, label, effects, worth * self.worth)

    def _differing_units(self, metric: SplitMetric) -> int:
        """Number of examples, or groups, whose sums for the metric differ."""
        baseline = self._columns(metric)
        candidate = self.scale.width + baseline
        strata = [self._draws.units[i] for i in self.pairs.strata.of(metric.table)]
        return sum(
            int((np.abs(units[:, candidate] - units[:, baseline]) > 1e-12).any(1).sum())
            for units in strata
        )


@dataclass
class Sample:
    """The answers of one model to one test split.

    joined  (n,) group of each example, if it differs from the groups in the table
    worth   independent examples that one counts for, apart from groups
    """

    predictions: Side
    scale: Measure
    joined: Ints | None = None
    worth: float = 1.0

    @property
    def groups(self) -> Ints | None:
        """(n,) number of the group of each example; None if no two share one."""
        return self.predictions.groups if self.joined is None else self.joined

    @functools.cached_property
    def _draws(self) -> Draws:
        return bootstrap.draws(self._parts, plan(self.predictions.strata.numbers, self.groups))

    @functools.cached_property
    def _parts(self) -> Floats:
        """(n, width)"""
        return self.scale.parts(self.predictions)

    @functools.cached_property
    def _sums(self) -> Floats:
        """(strata, width)"""
        tables = self.predictions.strata.tables
        return np.stack([self._parts[self.rows(table)].sum(0) for table in tables])

    def rows(self, table: str | None) -> Ints:
        """Indices of the examples of a table, or of all."""
        return self.predictions.strata.rows(table)

    def no_example(self, metric: SplitMetric) -> str | None:
        """`no example of 'rare'` if the metric's class or table has none; else None."""
        return _no_example(metric, self.predictions, self.rows(metric.table))

    def unscored(self, metric: SplitMetric) -> str | None:
        """Which labels an average leaves out, since they have no example; None if none."""
        return _unscored(metric, self.scale, self.predictions, self.rows(metric.table))

    def columns(self, metric: SplitMetric) -> Ints:
        """Indices of the sums that the metric needs."""
        return _columns(metric, self.scale, self.predictions, self.rows(metric.table))

    def value(self, metric: SplitMetric) -> Estimate:
        """The metric with its bootstrap."""
        drawn = self._draws.of(self.columns(metric))
        found = bootstrap.estimate(
            drawn,
            lambda sums: self.scale.metric(metric.name, sums),
            self.predictions.strata.of(metric.table),
        )
        return found.stretched(self.worth)

    def scatter(self, metric: SplitMetric, confidence: float) -> float:
        """Upper limit of how far a calibration error is above the true one.

        Chance in one bin never cancels chance in another, so by the triangle inequality it is at
        most the sum of the bins' deviations, whose distribution the replicates give.
        """
        drawn = self._draws.of(self.columns(metric))
        chosen = self.predictions.strata.of(metric.table)
        whole = drawn.whole[chosen].sum(0)  # (1 + bins,): examples, then the gap of each bin
        replicates = drawn.drawn[:, chosen].sum(1)  # (b, 1 + bins)
        off = np.abs(replicates[:, 1:] / replicates[:, :1] - whole[1:] / whole[0]).sum(1)  # (b,)
        units = sum(len(drawn.units[stratum]) for stratum in chosen)
        deviate = bootstrap.student_corrected(exact.NORMAL.inv_cdf(confidence), units)
        return float(np.quantile(off, exact.NORMAL.cdf(deviate)))

    def margin(self, metric: SplitMetric) -> margins.Margin:
        """Exact limits of a metric of answers, by how many are right."""
        rows = self.rows(metric.table)
        right, sums = self.predictions.rights(metric.name)[rows], self._parts[rows].sum(0)
        label, effects = self.scale.classes(metric.name, self.predictions, rows, sums)
        worth = independent(right, self.groups, rows) / len(rows)
        return margins.of_level(right, label, effects, worth * self.worth)

    def plain(self, metric: SplitMetric) -> tuple[float, int]:
        """(the metric without its spread, number of examples)."""
        sums = self._sums[self.predictions.strata.of(metric.table)].sum(0)  # (width,)
        value = self.scale.metric(metric.name, sums[self.columns(metric)])
        return float(value), int(sums[0])

    def rounding(self, metric: SplitMetric) -> float:
        """How far the digits of the table can move the metric."""
        return self.scale.rounding(metric.name, self.predictions, self.rows(metric.table))

    def slack(self, metric: SplitMetric) -> float:
        """How far the metric may be from its value by the table."""
        return self.scale.slack(metric.name, self.predictions, self.rows(metric.table))


def independent(hits: Bools, groups: Ints | None, rows: Ints) -> float:
    """Number of independent examples that these tell as much as: fewer in groups."""
    return exact.effective_size(hits, groups[rows]) if groups is not None else float(len(rows))


def _no_example(metric: SplitMetric, answers: Side, rows: Ints) -> str | None:
    where = "" if metric.table is None else f" of table {metric.table!r}"
    if not rows.size:
        return f"no example{where}"
    label = metric.name.removeprefix("f1.")
    if label == metric.name or any(answers.label[i] == label for i in rows):
        return None
    return f"no example of {label!r}" + (f" in table {metric.table!r}" if where else "")


def _true(metric: SplitMetric, answers: Side, rows: Ints) -> set[str] | None:
    """Labels that have an example; None where the metric is not over labels."""
    if metric.name not in predictions.AVERAGED:
        return None
    labels = answers.label
    return set(labels) if len(rows) == len(labels) else {labels[i] for i in rows}


def _columns(metric: SplitMetric, scale: Measure, answers: Side, rows: Ints) -> Ints:
    return scale.columns(metric.name, _true(metric, answers, rows))


def _unscored(metric: SplitMetric, scale: Measure, answers: Side, rows: Ints) -> str | None:
    true = _true(metric, answers, rows)
    without = [repr(label) for label in scale.labels if true is not None and label not in true]
    return f"without {', '.join(without)}: no example" if without else None


_plans: dict[tuple[bytes, bytes], bootstrap.Resampling] = {}


def plan(strata: Ints, groups: Ints | None) -> bootstrap.Resampling:
    """The same draws for every artifact that was scored on the same examples."""
    key = (strata.tobytes(), b"" if groups is None else groups.tobytes())
    if key not in _plans:
        if len(_plans) >= PLANS:
            _plans.pop(next(iter(_plans)))
        _plans[key] = bootstrap.resampling(strata, groups)
    return _plans[key]
