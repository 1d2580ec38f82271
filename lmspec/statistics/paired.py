"""paired: what the predictions of a test split say of a metric, or of the difference of two: its value, spread and test."""

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

ROUNDING = 1e-4  # predictions have six digits


@dataclass(frozen=True)
class Slice:
    """A metric of a test split, or of one of its tables. name: as `Scale.metric` knows it; table: None for all."""

    name: str
    table: str | None

    @property
    def of_answers(self) -> bool:
        """Does the metric follow from answers alone, and not from probabilities?"""
        return self.name in ("accuracy", "macro_f1") or self.name.startswith("f1.")


@dataclass
class Paired:
    """The predictions of one artifact on one test split, on both sides of the comparison. same: has every example the same?"""

    pairs: Pairs
    scale: Scale
    same: bool
    _last: tuple[str, Draws] | None = field(default=None, init=False, repr=False)

    @functools.cached_property
    def _parts(self) -> Floats:
        """(n, 2 width) of the old, then of the new."""
        return np.concatenate(
            [self.scale.parts(self.pairs.old), self.scale.parts(self.pairs.new)], axis=1
        )

    @functools.cached_property
    def _draws(self) -> Draws:
        return bootstrap.draws(self._parts, plan(self.pairs.strata, self.pairs.groups))

    def strata(self, table: str | None) -> list[int] | None:
        """Numbers of the strata of a table; None for all."""
        return None if table is None else [self.pairs.tables.index(table)]

    def rows(self, table: str | None) -> Ints:
        """Places of the pairs of a table, or of all."""
        if table is None:
            return np.arange(len(self.pairs.strata))
        if table not in self.pairs.tables:
            return np.arange(0)
        return np.flatnonzero(self.pairs.strata == self.pairs.tables.index(table))

    def labelled(self, label: str) -> Ints:
        """Places of the pairs of a class."""
        return np.asarray(
            [i for i, each in enumerate(self.pairs.new.label) if each == label], np.int64
        )

    def left_out(self, part: Slice) -> str | None:
        """Which examples a metric is not compared on, in words: a difference without them does not look like one."""
        pairs = self.pairs
        counts = {
            "that one side lacks": pairs.left_out,
            "whose label is another": pairs.relabelled,
            "whose table is another": pairs.moved if part.table is not None else 0,
        }
        parts = [f"{count:,} {why}" for why, count in counts.items() if count]
        return f"on the examples that both have; left out: {', '.join(parts)}" if parts else None

    @functools.cached_property
    def moved(self) -> NDArray[np.bool_]:
        """(n,) did the answer change, or its probabilities?"""
        old, new = self.pairs.old, self.pairs.new
        answers = np.fromiter(map(operator.ne, old.predicted, new.predicted), np.bool_, len(old.id))
        found: NDArray[np.bool_] = (
            answers
            | (old.confidence != new.confidence)
            | (old.label_probability != new.label_probability)
        )
        return found

    def difference(self, part: Slice) -> Estimate:
        """new - old."""
        return bootstrap.estimate(self._drawn(part), self._statistic(part), self.strata(part.table))

    def _drawn(self, part: Slice) -> Draws:
        """Of the sums that the metric follows from, the old, then the new. The last is kept: its test follows its difference."""
        if self._last is None or self._last[0] != part.name:
            columns = self.scale.columns(part.name)
            self._last = (
                part.name,
                self._draws.of(np.concatenate([columns, self.scale.width + columns])),
            )
        return self._last[1]

    def _statistic(self, part: Slice) -> Statistic:
        half = len(self.scale.columns(part.name))

        def statistic(sums: Floats) -> Floats:
            return self.scale.metric(part.name, sums[..., half:]) - self.scale.metric(
                part.name, sums[..., :half]
            )

        return statistic

    def p(self, part: Slice, estimate: Estimate) -> tuple[float, str]:
        """(two-sided p, how it was tested). No p is 0, however small."""
        p, method = self._tested(part, estimate)
        return min(1.0, max(sys.float_info.min, p)), method

    def _tested(self, part: Slice, estimate: Estimate) -> tuple[float, str]:
        rows = self.rows(part.table)
        groups = None if self.pairs.groups is None else self.pairs.groups[rows]
        if part.name == "accuracy":
            gained = self.pairs.new.right[rows].astype(np.int64) - self.pairs.old.right[rows]
            if groups is None:
                return exact.mcnemar(
                    int((gained > 0).sum()), int((gained < 0).sum())
                ), "McNemar, exact"
            return exact.sign_flip(
                np.bincount(groups, weights=gained).astype(np.int64)
            ), "sign flips of groups, exact"
        units = self._differing(part)
        # no test of so few units that differ can tell more than one that flips the sign of each
        fewest = 2.0 ** (1 - units)
        p = max(bootstrap.narrow(estimate.p, units), fewest) if estimate.error else fewest
        return p, "paired bootstrap" + (" of groups" if groups is not None else "")

    def interval(
        self, part: Slice, estimate: Estimate, confidence: float
    ) -> tuple[float, float] | None:
        """Of the difference, two-sided; None where nothing is known of its spread.

        Of accuracy it is Tango's: with seven discordant pairs the bootstrap's holds the truth in 93.7 of 100 test sets.
        """
        alone = part.name == "accuracy" and self.pairs.groups is None
        if estimate.error and not alone:
            return estimate.interval(confidence)
        if not part.of_answers:
            return None
        below, above = self.reach(part).at((1 + confidence) / 2)
        return estimate.value - below, estimate.value + above

    def reach(self, part: Slice) -> margins.Reach:
        """How far the difference may be, by exact intervals of how many answers changed; of a metric of answers alone."""
        rows = self.rows(part.table)
        old, new = self.pairs.old.right[rows], self.pairs.new.right[rows]
        label, effects = self.scale.classes(
            part.name, self.pairs.new, rows, self._parts[rows, self.scale.width :].sum(0)
        )
        return margins.changed(
            old, new, label, effects, _worth(old != new, self.pairs.groups, rows)
        )

    def _differing(self, part: Slice) -> int:
        """Of how many units the metric gets something else, old and new."""
        drawn, strata = self._drawn(part), self.strata(part.table)
        chosen = list(range(len(drawn.whole))) if strata is None else strata
        units = np.concatenate([drawn.units[stratum] for stratum in chosen])
        old, new = np.split(units, 2, axis=1)
        return int((np.abs(new - old) > 1e-12).any(1).sum())


@dataclass
class Alone:
    """The predictions of one artifact on one test split of one revision."""

    side: Predictions
    scale: Scale

    @functools.cached_property
    def _strata(self) -> tuple[Ints, tuple[str, ...]]:
        return predictions.numbered(self.side.table)

    @functools.cached_property
    def _draws(self) -> Draws:
        return bootstrap.draws(self._parts, plan(self._strata[0], predictions.grouped(self.side)))

    @functools.cached_property
    def _parts(self) -> Floats:
        """(n, width)"""
        return self.scale.parts(self.side)

    def value(self, part: Slice) -> Estimate:
        """The metric itself."""
        drawn = self._draws.of(self.scale.columns(part.name))
        return bootstrap.estimate(
            drawn, lambda sums: self.scale.metric(part.name, sums), self._chosen(part.table)
        )

    def _chosen(self, table: str | None) -> list[int]:
        """Numbers of the strata of a table, or of all."""
        names = self._strata[1]
        return list(range(len(names))) if table is None else [names.index(table)]

    def scatter(self, part: Slice, confidence: float) -> float:
        """How far a calibration error can lie above the true one, since chance never makes up for chance in another bin.

        By the triangle inequality no more than the sum of what all bins are off by, whose replicates are drawn.
        """
        drawn = self._draws.of(self.scale.columns(part.name))
        chosen = self._chosen(part.table)
        whole, replicates = drawn.whole[chosen].sum(0), drawn.drawn[:, chosen].sum(1)
        off = np.abs(replicates[:, 1:] / replicates[:, :1] - whole[1:] / whole[0]).sum(1)
        units = sum(len(drawn.units[stratum]) for stratum in chosen)
        share = exact.NORMAL.cdf(bootstrap.wide(exact.NORMAL.inv_cdf(confidence), units))
        return float(np.quantile(off, share))

    @functools.cached_property
    def _sums(self) -> Floats:
        """(strata, width)"""
        strata, names = self._strata
        return np.stack([self._parts[strata == i].sum(0) for i in range(len(names))])

    def reach(self, part: Slice) -> margins.Reach:
        """How far the metric may be, by exact intervals of how many answers are right; of a metric of answers alone."""
        numbers, names = self._strata
        rows = (
            np.arange(len(numbers))
            if part.table is None
            else np.flatnonzero(numbers == names.index(part.table))
        )
        right = self.side.right[rows]
        label, effects = self.scale.classes(part.name, self.side, rows, self._parts[rows].sum(0))
        return margins.level(
            right, label, effects, _worth(right, predictions.grouped(self.side), rows)
        )

    def plain(self, part: Slice) -> tuple[float, int]:
        """(the metric without its spread, of how many examples)."""
        sums = self._sums[self._chosen(part.table)].sum(0)
        return float(self.scale.metric(part.name, sums[self.scale.columns(part.name)])), int(
            sums[0]
        )

    def rounding(self, part: Slice) -> float:
        """How far a log loss may be from what the predictions give, but for those of which they say 0."""
        told = self._told(part)
        rounded = -np.log1p(-predictions.SMALLEST / np.maximum(told, 2 * predictions.SMALLEST))
        return ROUNDING + float(np.where(told > 0, rounded, 0.0).mean())

    def _told(self, part: Slice) -> Floats:
        """(n,) probabilities of the true labels."""
        numbers, names = self._strata
        told = self.side.label_probability
        return told if part.table is None else told[numbers == names.index(part.table)]

    def slack(self, part: Slice) -> float:
        """How far a metric may be from what the predictions give, as their probabilities have six digits."""
        if part.name == "log_loss":
            # one that is written as 0 can be as small as a float allows, and its loss 37
            hidden = 37 + math.log(predictions.SMALLEST)
            return self.rounding(part) + float((self._told(part) == 0).mean()) * hidden
        return ROUNDING + (
            2 / self.plain(part)[1] if part.name == "expected_calibration_error" else 0
        )  # two in another bin

    def size(self, table: str | None) -> int:
        """How many examples."""
        return (
            len(self.side.id) if table is None else sum(name == table for name in self.side.table)
        )


def _worth(hits: NDArray[np.bool_], groups: Ints | None, rows: Ints) -> float:
    """How much of an example each one tells of their share."""
    if groups is None:
        return 1.0
    return exact.effective_size(hits, np.unique(groups[rows], return_inverse=True)[1]) / len(rows)


_plans: dict[tuple[bytes, bytes], bootstrap.Resampling] = {}


def plan(strata: Ints, groups: Ints | None) -> bootstrap.Resampling:
    """The same draws for every artifact that was scored on the same examples."""
    key = (strata.tobytes(), b"" if groups is None else groups.tobytes())
    if key not in _plans:
        if len(_plans) >= 8:  # a plan can have 200 MB
            _plans.pop(next(iter(_plans)))
        _plans[key] = bootstrap.resampling(strata, groups)
    return _plans[key]


def part_of(path: tuple[str, ...]) -> Slice:
    """`("table", "movies", "f1", "negative")`, the path beneath a test split -> what it is a metric of."""
    table = path[1] if len(path) > 2 and path[0] == "table" else None
    return Slice(".".join(path if table is None else path[2:]), table)
