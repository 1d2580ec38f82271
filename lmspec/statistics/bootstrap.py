"""bootstrap: intervals and tests of metrics that follow from sums over examples.

Every metric needs a few sums only: right answers, losses, counts per class. So one product of two
matrices, how often each example was drawn and what it adds, gives all metrics of all replicates.
"""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lmspec.statistics.arrays import Floats, Interval, Ints
from lmspec.statistics.exact import NORMAL

Counts = NDArray[np.uint8]
SEED = 20_260_101
WORK = 10_000_000  # draws in all: the more examples, the fewer replicates
FEWEST, MOST = 1_000, 5_000
MANY = 5_000  # units from which Poisson weights replace the multinomial: their sum hardly varies
FEW = 10  # replicates beyond a bound; with fewer, the normal tail may widen it
FEW_UNITS = 12  # with at most so many, every subset of them is evaluated, too
SUBSETS = 2**FEW_UNITS
BLOCK = 2_000_000  # cells of the weight matrix at a time: 16 MB

# sums over examples (..., m) -> a metric (...)
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Resampling:
    """How often each unit, an example or a group of them, is drawn in each replicate.

    strata  per stratum: (examples,) indices of its examples
    units   per stratum: (examples,) number of the unit of each, from 0
    times   per stratum: (replicates, units)
    """

    strata: tuple[Ints, ...]
    units: tuple[Ints, ...]
    times: tuple[Counts, ...]


def resampling(
    strata: Ints, groups: Ints | None, replicates: int | None = None, seed: int = SEED
) -> Resampling:
    """Draw the units of each stratum with replacement; the same arguments give the same draws.

    strata  (n,) numbers from 0: the tables, whose sizes are fixed by design
    groups  (n,) numbers from 0 of what was sampled together, such as a document; None: no groups

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 8;
    Davison & Hinkley 1997, 3.2 and 3.8; for many units Chamandy et al. 2012 (Poisson weights,
    here scaled to the size of the stratum).
    """
    rng = np.random.default_rng([seed, len(strata)])
    count = replicates or min(MOST, max(FEWEST, WORK // max(1, len(strata))))
    places, units, times = [], [], []
    for stratum in range(int(strata.max()) + 1):
        here = np.flatnonzero(strata == stratum)
        unit = (
            np.arange(len(here))
            if groups is None
            else np.unique(groups[here], return_inverse=True)[1]
        )
        size = int(unit.max()) + 1
        places.append(here)
        units.append(unit)
        times.append(_poisson(count, size, rng) if size >= MANY else _multinomial(count, size, rng))
    return Resampling(tuple(places), tuple(units), tuple(times))


def _multinomial(count: int, size: int, rng: np.random.Generator) -> Counts:
    """(count, size)"""
    times = np.empty((count, size), np.uint8)
    step = max(1, BLOCK // size)
    for start in range(0, count, step):
        rows = min(step, count - start)
        # A 32-bit draw times the size, without its lower half: four times as fast as `integers`,
        # and uniform to 1 in 800,000.
        drawn = rng.integers(0, 2**32, (rows, size), np.uint32).astype(np.uint64)
        drawn *= np.uint64(size)
        drawn >>= np.uint64(32)
        drawn += np.arange(rows, dtype=np.uint64)[:, None] * np.uint64(size)
        counts = np.bincount(drawn.ravel().view(np.int64), minlength=rows * size)
        times[start : start + rows] = counts.reshape(rows, size)
    return times


def _poisson(count: int, size: int, rng: np.random.Generator) -> Counts:
    """(count, size) of mean 1, from 16 random bits each."""
    chance = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(9)])
    table = np.searchsorted(chance, (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)
    times = np.empty((count, size), np.uint8)
    for row in times:  # "clip" since the default mode buffers `out`
        table.take(rng.integers(0, 2**16, size, np.uint16), out=row, mode="clip")
    return times


@dataclass(frozen=True)
class Draws:
    """Sums over the examples as they are, of each unit, and in each replicate.

    whole   (strata, m)
    units   per stratum: (units, m)
    sizes   per stratum: (units,) examples of each
    drawn   (replicates, strata, m)
    """

    whole: Floats
    units: tuple[Floats, ...]
    sizes: tuple[Ints, ...]
    drawn: Floats

    def of(self, columns: Ints) -> "Draws":
        """Some of the sums."""
        units = tuple(unit[:, columns] for unit in self.units)
        return Draws(self.whole[:, columns], units, self.sizes, self.drawn[:, :, columns])


def draws(parts: Floats, plan: Resampling) -> Draws:
    """Replicates of sums. parts: (n, m) what each example adds."""
    units = tuple(
        _per_unit(parts[here], unit) for here, unit in zip(plan.strata, plan.units, strict=True)
    )
    drawn = [_weighted(times, unit) for times, unit in zip(plan.times, units, strict=True)]
    sizes = tuple(np.bincount(unit) for unit in plan.units)
    return Draws(np.stack([unit.sum(0) for unit in units]), units, sizes, np.stack(drawn, axis=1))


def _per_unit(parts: Floats, unit: Ints) -> Floats:
    """(units, m)"""
    size = int(unit.max()) + 1
    if size == len(unit):
        return parts
    order = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))
    return np.asarray(np.add.reduceat(parts[order], starts, axis=0))


def _weighted(times: Counts, unit: Floats) -> Floats:
    """(replicates, m)"""
    count, size = times.shape
    sums = np.zeros((count, unit.shape[1]))
    used = np.flatnonzero(unit.any(0))  # most bins of confidence are empty
    unit = np.ascontiguousarray(unit[:, used])
    step = max(1, BLOCK // size)
    weights = np.empty((min(step, count), size))
    for start in range(0, count, step):
        block = times[start : start + step]
        np.copyto(weights[: len(block)], block)
        sums[start : start + step, used] = weights[: len(block)] @ unit
    if size >= MANY:
        sums *= size / times.sum(1, dtype=np.float64)[:, None]
    return sums


@dataclass(frozen=True)
class Estimate:
    """A metric, or a difference of two, with its spread.

    value       on the examples as they are
    replicates  (b,)
    jackknife   (units,) without each unit in turn: for the acceleration of BCa
    subsets     on subsets of few units, see `typical`; empty for many units
    """

    value: float
    replicates: Floats
    jackknife: Floats
    subsets: Floats = field(default_factory=lambda: np.empty(0))

    def stretched(self, worth: float) -> "Estimate":
        """As far spread as of fewer examples. worth: independent ones that one counts for."""
        if worth == 1:
            return self
        by = math.sqrt(1 / worth)
        spread = (self.replicates, self.jackknife, self.subsets)
        return Estimate(self.value, *(self.value + by * (each - self.value) for each in spread))

    @property
    def units(self) -> int:
        """Examples, or groups of them, that were sampled independently."""
        return len(self.jackknife)

    @property
    def worth(self) -> int:
        """The number of units that decides what can be shown: of few, those that contribute."""
        return round(math.log2(len(self.subsets) + 1)) if self.subsets.size else self.units

    def typical(self, level: float) -> float:
        """One-sided bound by the subsets of few units; `value` for many units.

        The 2^d - 1 subsets of d units divide the line into 2^d gaps, each of which contains the
        truth with the same probability. So 2^-d is the smallest level with a finite bound. Exact
        for units of any size, if deviations from the truth are symmetric. For differences it
        inverts the sign-flip test of `exact.sign_flip`.
        Source: Hartigan 1969, JASA 64 (typical values).
        """
        if not self.subsets.size:
            return self.value
        rank = math.floor(min(level, 1 - level) * (len(self.subsets) + 1) * (1 + 1e-12))
        if not rank:
            return -math.inf if level < 0.5 else math.inf
        place = rank - 1 if level < 0.5 else len(self.subsets) - rank
        return float(np.partition(self.subsets, place)[place])

    @property
    def typical_p(self) -> float:
        """Two-sided p by the subsets of few units, as in a sign-flip test; 0 for many units."""
        if not self.subsets.size:
            return 0.0
        beyond = (self.subsets * math.copysign(1.0, self.value) <= 1e-12).sum()
        return min(1.0, 2 * (1 + int(beyond)) / (len(self.subsets) + 1))

    @functools.cached_property
    def error(self) -> float:
        """Standard error; 0, which means unknown, if it is floating-point noise."""
        error = float(self.replicates.std(ddof=1))
        return error if error > 1e-12 * max(1.0, abs(self.value)) else 0.0

    @functools.cached_property
    def _centred(self) -> Floats:
        """(b,) distance of each replicate from their mean."""
        return np.asarray(np.abs(self.replicates - self.replicates.mean()))

    @property
    def p(self) -> float:
        """Two-sided p from the null-centred bootstrap; 1 if the spread is unknown.

        The observed value counts as a replicate. Where no replicate is as far out, the normal tail
        decides: 1 / (b + 1) would not survive Holm's correction. sacrebleu's paired bootstrap is
        one-sided: where most replicates have one sign, this is twice its p.
        Source: Koehn 2004, EMNLP; Graham et al. 2014, WMT.
        """
        if self.value == 0 or not self.error:
            return 1.0
        far = int((self._centred >= abs(self.value) * (1 - 1e-12)).sum())
        p = (far + 1) / (len(self.replicates) + 1)
        if far == 0:
            return min(p, max(sys.float_info.min, 2 * NORMAL.cdf(-abs(self.value) / self.error)))
        return p

    def interval(self, confidence: float) -> Interval:
        """Two-sided and symmetric: the values that the test of `p` does not reject.

        Of differences it covers nearer to its confidence than BCa, which undercovers where few
        pairs are discordant (90.9 % for 95 %) or losses have long tails (91.8 %). Of few units it
        is no narrower than `typical`.
        Source: Hall 1988, JRSS B 50 (symmetric bootstrap intervals); `student_corrected`.
        """
        level = (1 - confidence) / 2
        deviate = student_corrected(NORMAL.inv_cdf(1 - level), self.units)
        reach = float(np.quantile(self._centred, 2 * NORMAL.cdf(deviate) - 1))
        low, high = self.typical(level), self.typical(1 - level)
        return min(self.value - reach, low), max(self.value + reach, high)

    def bound(self, level: float) -> float:
        """One-sided bound with that share of confidence below it: 0.05 for a lower 95 % bound.

        Bias-corrected and accelerated (BCa). Of few units it is no tighter than `typical`, nor
        than Student's: losses have long tails.
        Source: Efron 1987, JASA 82; `student_corrected`.
        """
        deviate = student_corrected(NORMAL.inv_cdf(level), self.units)
        plain = self.value + deviate * self.error
        bounds = [self._accelerated(deviate) if self.error else self.value]
        if self.subsets.size:
            bounds += [self.typical(level), plain]
        elif min(level, 1 - level) * len(self.replicates) < FEW:
            bounds.append(plain)
        return min(bounds) if level < 0.5 else max(bounds)

    def _accelerated(self, deviate: float) -> float:
        count, values = len(self.replicates), self.replicates
        below = float((values < self.value).sum()) + float((values == self.value).sum()) / 2
        bias = NORMAL.inv_cdf(min(max(below / count, 0.5 / count), 1 - 0.5 / count))
        off = self.jackknife.mean() - self.jackknife
        squares = float((off**2).sum())
        acceleration = float((off**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
        reach = bias + deviate
        share = NORMAL.cdf(bias + reach / max(1e-9, 1 - acceleration * reach))
        return float(np.quantile(values, min(max(share, 0.0), 1.0)))


def student_corrected(deviate: float, units: int) -> float:
    """A normal deviate -> one for few units, whose replicates vary less than their mean does.

    Source: Hesterberg 2015, The American Statistician 69 (expanded percentile interval); Student's
    quantile by its expansion in Abramowitz & Stegun 1964, 26.7.5.
    """
    freedom, z, square = max(1, units - 1), deviate, deviate * deviate
    first = z * (square + 1) / (4 * freedom)
    second = z * ((5 * square + 16) * square + 3) / (96 * freedom**2)
    return (z + first + second) * math.sqrt(1 + 1 / freedom)


def corrected_p(p: float, units: int) -> float:
    """A two-sided p from replicates of few units, corrected: about the inverse of the above.

    Source: Abramowitz & Stegun 1964, 26.7.8.
    """
    freedom = max(1, units - 1)
    t = NORMAL.inv_cdf(max(p / 2, sys.float_info.min)) / math.sqrt(1 + 1 / freedom)
    z = t * (1 - 1 / (4 * freedom)) / math.sqrt(1 + t * t / (2 * freedom))
    return min(1.0, 2 * NORMAL.cdf(z))


def estimate(drawn: Draws, statistic: Statistic, strata: Sequence[int] | None = None) -> Estimate:
    """A statistic over some strata, or all."""
    chosen = list(range(len(drawn.whole))) if strata is None else list(strata)
    total = drawn.whole[chosen].sum(0)  # (m,)
    units = np.concatenate([drawn.units[stratum] for stratum in chosen])  # (units, m)
    sizes = np.concatenate([drawn.sizes[stratum] for stratum in chosen])  # (units,)
    return Estimate(
        float(statistic(total)),
        statistic(drawn.drawn[:, chosen].sum(1)),
        statistic(total - units),
        statistic(_of_subsets(units, sizes)),
    )


def _of_subsets(units: Floats, sizes: Ints) -> Floats:
    """(subsets, m) sums over every non-empty subset of few units; no rows for many units.

    units  (units, m) all 0 for a unit that does not contribute to the statistic
    sizes  (units,) examples of each
    If there are many units but few have nearly all examples, the subsets are random. The effective
    number of units is Kish's (1965, Survey Sampling): the squared sum over the sum of squares.
    """
    used = units.any(1)
    units, sizes = units[used], sizes[used].astype(np.float64)
    count = len(units)
    if not count or sizes.sum() ** 2 > FEW_UNITS * (sizes**2).sum():
        return np.empty((0, units.shape[1]))
    if count <= FEW_UNITS:
        members = np.arange(1, 2**count)[:, None] >> np.arange(count) & 1
    else:
        members = np.random.default_rng([SEED, count]).integers(0, 2, (SUBSETS - 1, count))
        members[:, 0] |= ~members.any(1)
    return np.asarray(members.astype(np.float64) @ units)


def detectable(error: float, level: float, units: int, power: float = 0.8) -> float:
    """Minimum effect that a two-sided test at a level detects with that power.

    Source: Cohen 1988, Statistical Power Analysis, chapter 2; `student_corrected` for few units.
    """
    reach = student_corrected(NORMAL.inv_cdf(1 - level / 2), units)
    return (reach + NORMAL.inv_cdf(power)) * error


def needed(examples: int, error: float, distance: float, confidence: float) -> int | None:
    """About how many examples would put a one-sided bound `distance` from the value."""
    if distance == 0 or not math.isfinite(distance):
        return None
    return math.ceil(examples * (NORMAL.inv_cdf(confidence) * error / distance) ** 2)
