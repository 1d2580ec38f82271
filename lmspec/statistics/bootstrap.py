"""bootstrap: the bootstrap of numbers that follow from sums over examples: intervals and tests, in pairs, strata and groups.

Whatever a metric is, what it needs of the examples is a few sums: of right answers, of losses, of counts per class. So one
product of a matrix of how often each example was drawn with the matrix of what it adds gives every metric of every draw.
"""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmspec.statistics.exact import NORMAL

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SEED = 20_260_101
WORK = 10_000_000  # examples to draw in all: more examples, fewer replicates
FEWEST, MOST = 1_000, 5_000
MANY = 5_000  # units from which weights of their own are drawn for each, as their number hardly varies any more
FEW = 10  # replicates beyond an end: fewer do not tell where it is, and the normal tail has its say too
BLOCK = 2_000_000  # cells of the matrix of weights at a time

# sums of the examples (..., m) -> a number for each (...)
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Resampling:
    """How often each unit is drawn in each replicate. A unit is an example, or a group of them.

    strata  for each stratum: (examples,) places of its examples
    units   for each stratum: (examples,) number of the unit of each, from 0
    times   for each stratum: (replicates, units) as bytes
    """

    strata: tuple[Ints, ...]
    units: tuple[Ints, ...]
    times: tuple[NDArray[np.uint8], ...]


def resampling(
    strata: Ints, groups: Ints | None, replicates: int | None = None, seed: int = SEED
) -> Resampling:
    """Within each stratum, as many units as it has are drawn with replacement. The same arguments give the same draws.

    strata  (n,) numbers from 0: the tables, whose shares a test set does not leave to chance
    groups  (n,) numbers from 0 of what was drawn together, such as a document; None: each example by itself

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 8; Davison & Hinkley 1997, 3.2 and 3.8;
    for many units Chamandy et al. 2012 (Poisson weights), brought to the size of the stratum.
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


def _multinomial(count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    found = np.empty((count, size), np.uint8)
    step = max(1, BLOCK // size)
    for start in range(0, count, step):
        some = min(step, count - start)
        # a 32-bit draw times the size, without its lower half: four times as fast as `integers`, and as even to 1 in 800,000
        drawn = (
            rng.integers(0, 2**32, some * size, np.uint32).astype(np.uint64) * np.uint64(size)
        ) >> np.uint64(32)
        drawn += np.repeat(np.arange(some, dtype=np.uint64) * np.uint64(size), size)
        found[start : start + some] = np.bincount(
            drawn.view(np.int64), minlength=some * size
        ).reshape(some, size)
    return found


def _poisson(count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Poisson of mean 1, by 16 random bits each."""
    chance = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(9)])
    table = np.searchsorted(chance, (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)
    found = np.empty((count, size), np.uint8)
    for row in found:
        table.take(
            rng.integers(0, 2**16, size, np.uint16), out=row, mode="clip"
        )  # without it, `out` is buffered
    return found


@dataclass(frozen=True)
class Draws:
    """Sums of the examples as they are, of each unit, and in each replicate, per stratum.

    whole   (strata, m)
    units   for each stratum (units, m)
    drawn   (replicates, strata, m)
    """

    whole: Floats
    units: tuple[Floats, ...]
    drawn: Floats

    def of(self, columns: Ints) -> "Draws":
        """Some of the sums."""
        return Draws(
            self.whole[:, columns],
            tuple(unit[:, columns] for unit in self.units),
            self.drawn[:, :, columns],
        )


def draws(parts: Floats, plan: Resampling) -> Draws:
    """Replicates of sums. parts: (n, m) what each example adds to them."""
    units = tuple(
        _per_unit(parts[here], unit) for here, unit in zip(plan.strata, plan.units, strict=True)
    )
    whole = np.stack([unit.sum(0) for unit in units])
    drawn = np.stack(
        [_weighted(times, unit) for times, unit in zip(plan.times, units, strict=True)], axis=1
    )
    return Draws(whole, units, drawn)


def _per_unit(parts: Floats, unit: Ints) -> Floats:
    size = int(unit.max()) + 1
    if size == len(unit):
        return parts
    order = np.argsort(unit, kind="stable")
    sums: Floats = np.add.reduceat(
        parts[order], np.flatnonzero(np.diff(unit[order], prepend=-1)), axis=0
    )
    return sums


def _weighted(times: NDArray[np.uint8], unit: Floats) -> Floats:
    """(replicates, m)"""
    count, size = times.shape
    found = np.zeros((count, unit.shape[1]))
    used = np.flatnonzero(unit.any(0))  # most bins of confidence are empty
    unit = np.ascontiguousarray(unit[:, used])
    step = max(1, BLOCK // size)
    weights = np.empty((min(step, count), size))
    for start in range(0, count, step):
        some = times[start : start + step]
        np.copyto(weights[: len(some)], some)
        found[start : start + step, used] = weights[: len(some)] @ unit
    if size >= MANY:
        found *= size / times.sum(1, dtype=np.float64)[:, None]
    return found


@dataclass(frozen=True)
class Estimate:
    """A number with its spread over replicates.

    value      of the examples as they are
    replicates (b,) of the replicates
    jackknife      (units,) without each unit in turn: for the acceleration
    """

    value: float
    replicates: Floats
    jackknife: Floats

    @functools.cached_property
    def error(self) -> float:
        """Standard error; 0 for what is only the last digit of a float: then nothing is known of the spread."""
        found = float(self.replicates.std(ddof=1))
        return found if found > 1e-12 * max(1.0, abs(self.value)) else 0.0

    @property
    def p(self) -> float:
        """Two-sided p of the value being 0: how often a replicate, shifted so that they centre on 0, is as far from it.

        With the observed one counted; where no replicate is, by the normal tail: 1 / (b + 1) would not outlast Holm's factors.
        1 where nothing is known of the spread: one example, or all alike. sacrebleu's paired bootstrap takes absolute
        differences before it shifts them, and so counts one side: where most replicates have one sign, this is twice its p.
        Source: Koehn 2004, EMNLP; Graham et al. 2014, WMT.
        """
        if self.value == 0 or not self.error:
            return 1.0
        shifted = np.abs(self.replicates - self.replicates.mean())
        far = int((shifted >= abs(self.value) * (1 - 1e-12)).sum())
        p = (far + 1) / (len(self.replicates) + 1)
        if far == 0:
            return min(p, max(sys.float_info.min, 2 * NORMAL.cdf(-abs(self.value) / self.error)))
        return p

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided and symmetric: the values that the test of `p` does not reject, as wide as few units need.

        Of differences it holds nearer to its confidence than two ends by `bound`, which it loses where few pairs are discordant
        or losses have long tails. Source: Hall 1988, JRSS B 50 (symmetric bootstrap intervals); `student_corrected`.
        """
        share = (
            2
            * NORMAL.cdf(
                student_corrected(NORMAL.inv_cdf((1 + confidence) / 2), len(self.jackknife))
            )
            - 1
        )
        reach = float(np.quantile(np.abs(self.replicates - self.replicates.mean()), share))
        return self.value - reach, self.value + reach

    def bound(self, level: float) -> float:
        """The end of an interval below which lies this share of confidence: 0.05 for the lower end of 95 % one-sided.

        Bias-corrected and accelerated, and as far out as few units need. Source: Efron 1987, JASA 82; `student_corrected`.
        """
        count = len(self.replicates)
        low = (
            float((self.replicates < self.value).sum())
            + float((self.replicates == self.value).sum()) / 2
        )
        if not self.error:
            return self.value
        bias = NORMAL.inv_cdf(min(max(low / count, 0.5 / count), 1 - 0.5 / count))
        off = self.jackknife.mean() - self.jackknife
        spread = float((off**2).sum())
        acceleration = float((off**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
        reach = bias + student_corrected(NORMAL.inv_cdf(level), len(self.jackknife))
        share = NORMAL.cdf(bias + reach / max(1e-9, 1 - acceleration * reach))
        found = float(np.quantile(self.replicates, min(max(share, 0.0), 1.0)))
        if min(level, 1 - level) * count >= FEW:
            return found
        plain = (
            self.value + student_corrected(NORMAL.inv_cdf(level), len(self.jackknife)) * self.error
        )
        return min(found, plain) if level < 0.5 else max(found, plain)


def student_corrected(deviate: float, units: int) -> float:
    """A normal deviate -> one that is right for few units, whose replicates vary less than their mean does.

    Source: Hesterberg 2015, The American Statistician 69 (expanded percentile interval); Student's quantile by Abramowitz &
    Stegun 1964, 26.7.5.
    """
    freedom, z, square = max(1, units - 1), deviate, deviate * deviate
    more = z * (square + 1) / (4 * freedom) + z * ((5 * square + 16) * square + 3) / (
        96 * freedom**2
    )
    return (z + more) * math.sqrt(1 + 1 / freedom)


def corrected_p(p: float, units: int) -> float:
    """A two-sided p by replicates of few units -> one that is right: about the opposite of `student_corrected`.

    Source: Abramowitz & Stegun 1964, 26.7.8.
    """
    freedom = max(1, units - 1)
    t = NORMAL.inv_cdf(max(p / 2, sys.float_info.min)) / math.sqrt(1 + 1 / freedom)
    return min(
        1.0, 2 * NORMAL.cdf(t * (1 - 1 / (4 * freedom)) / math.sqrt(1 + t * t / (2 * freedom)))
    )


def estimate(drawn: Draws, statistic: Statistic, strata: Sequence[int] | None = None) -> Estimate:
    """A statistic of the sums over some strata (all, if not given)."""
    chosen = list(range(len(drawn.whole))) if strata is None else list(strata)
    total = drawn.whole[chosen].sum(0)
    jackknife = np.concatenate([statistic(total - drawn.units[stratum]) for stratum in chosen])
    return Estimate(float(statistic(total)), statistic(drawn.drawn[:, chosen].sum(1)), jackknife)


def detectable(error: float, level: float, power: float = 0.8) -> float:
    """The smallest difference that a two-sided test at a level shows with that power, if its spread is what was seen.

    Source: Cohen 1988, Statistical Power Analysis, chapter 2.
    """
    return (NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(power)) * error


def needed(examples: int, error: float, distance: float, confidence: float) -> int | None:
    """About how many examples would put a one-sided bound on one side of what lies `distance` away; None if it is 0."""
    if distance == 0 or not math.isfinite(distance):
        return None
    return math.ceil(examples * (NORMAL.inv_cdf(confidence) * error / distance) ** 2)
