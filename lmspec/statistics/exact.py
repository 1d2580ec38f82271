"""exact: tests and bounds of counts, none by resampling: McNemar's, its form for groups, Fisher's, Clopper-Pearson's, Holm's."""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

NORMAL = NormalDist()
AS_IF = 2  # groups; with 1, upper bounds of documents of five held in 94.7 % of cases, with none in as few as 88 %


def mcnemar(better: int, worse: int) -> float:
    """Two-sided p of `better` and `worse` discordant pairs, if each were as likely to be one as the other.

    1 if there are none. Source: McNemar 1947, Psychometrika 12; the exact form is a binomial test at one half.
    """
    few, total = min(better, worse), better + worse
    return 1.0 if total == 0 else min(1.0, 2.0 * binomial_tail(few, total, 0.5))


def sign_flip(sums: Sequence[int] | NDArray[np.int64]) -> float:
    """Two-sided p of the total of differences within groups, if old and new could change places in each group as a whole.

    sums  (groups,) new - old of the correct answers in each group

    With groups of one it is McNemar's exact test. The distribution of the total is the product of one step of +-|sum| for
    each group, and is computed whole. Source: Obuchowski 1998, Statistics in Medicine 17; Fisher 1935 (randomization).
    """
    steps, counts = np.unique(np.abs(np.asarray(sums, np.int64)), return_counts=True)
    if steps.max(initial=0) <= 1:
        ones = np.asarray(sums)
        return mcnemar(int((ones > 0).sum()), int((ones < 0).sum()))
    chance = np.ones(1)
    for step, count in zip(steps, counts, strict=True):
        if step:
            signs = np.zeros(2 * count * step + 1)
            signs[:: 2 * step] = [
                math.exp(_log_binomial(k, int(count), 0.5)) for k in range(count + 1)
            ]
            chance = np.convolve(chance, signs)
    reach = len(chance) // 2  # totals run from -reach to reach
    total = abs(int(np.sum(sums)))
    return min(1.0, float(2 * chance[reach + total :].sum())) if total else 1.0


def fewest_discordant(level: float) -> int:
    """How many discordant pairs, all one way, McNemar's exact test needs to be at or below a level."""
    return math.ceil(1 - math.log2(level))


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """Probability of at most so many successes."""
    if successes >= trials:
        return 1.0
    k = np.arange(successes + 1, dtype=np.float64)
    logs = [_log_binomial(int(i), trials, chance) for i in k]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(each - top) for each in logs))


def clopper_pearson(successes: float, trials: float, confidence: float) -> tuple[float, float]:
    """Bounds of a share, each one-sided at that confidence. Counts may be fractions, as an effective sample size is.

    Raises ValueError if trials is 0. Source: Clopper & Pearson 1934, Biometrika 26; by quantiles of the beta distribution.
    """
    if trials <= 0:
        raise ValueError("a share of nothing has no bounds")
    low = (
        0.0 if successes <= 0 else beta_quantile(1 - confidence, successes, trials - successes + 1)
    )
    high = (
        1.0 if successes >= trials else beta_quantile(confidence, successes + 1, trials - successes)
    )
    return low, high


def effective_size(hits: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """How many independent examples tell as much of a share as these in groups do; at most as many as there are.

    hits    (n,)
    groups  (n,) number of the group of each
    Source: Korn & Graubard 1998, Survey Methodology 24: n over the design effect, corrected for how few groups there are. The
    hits of few groups tell little of that effect, so it is drawn towards its largest, as if two more had all come together.
    """
    size, number = len(hits), int(groups.max()) + 1
    if number == size:
        return float(size)
    share, sizes, inside = (
        float(hits.mean()),
        np.bincount(groups),
        np.bincount(groups, weights=hits),
    )
    largest, effect = float((sizes**2).sum()) / size, 0.0
    telling = min(int((inside > 0).sum()), int((inside < sizes).sum()))
    if telling and number > 1:
        off = inside - share * sizes
        effect = float((off**2).sum()) * number / (number - 1) / (size * share * (1 - share))
    drawn = max(1.0, (telling * effect + AS_IF * largest) / (telling + AS_IF))
    few = (student_quantile(0.975, size - 1) / student_quantile(0.975, max(1, number - 1))) ** 2
    return size / drawn * few


def holm(levels: Sequence[float]) -> tuple[list[float], list[int]]:
    """(p corrected for their number, the number that each was multiplied by), in the order given.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    corrected, factors = [1.0] * len(levels), [1] * len(levels)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(levels)), key=lambda i: levels[i])):
        factors[index] = len(levels) - rank
        highest = max(highest, min(1.0, levels[index] * factors[index]))
        corrected[index] = highest
    return corrected, factors


def two_proportions(
    old: float, new: float, old_size: int, new_size: int, confidence: float
) -> tuple[float, float, float]:
    """(p, low, high) of the difference new - old of two shares from different examples, or from examples that are not known.

    Fisher's exact test; the interval is Newcombe's, from Wilson's of each share: for few examples Wald's has no width.
    Source: Fisher 1935; Newcombe 1998, Statistics in Medicine 17 (method 10).
    """
    hits, other = round(old * old_size), round(new * new_size)
    (low, high), (other_low, other_high) = (
        wilson(hits, old_size, confidence),
        wilson(other, new_size, confidence),
    )
    difference = other / new_size - hits / old_size
    below = math.hypot(other / new_size - other_low, high - hits / old_size)
    above = math.hypot(other_high - other / new_size, hits / old_size - low)
    return fisher(hits, old_size, other, new_size), difference - below, difference + above


def fisher(hits: int, size: int, other_hits: int, other_size: int) -> float:
    """Two-sided p of two shares: all tables with these margins that are no likelier than the one that was seen.

    The smallest normal number if p is below it: no p is 0.
    """
    total = hits + other_hits
    least, most = max(0, total - other_size), min(size, total)
    factorials = np.cumsum(np.log(np.maximum(1, np.arange(max(size, other_size) + 1))))
    logs = (
        _log_chooses(size, least, most, factorials)
        + _log_chooses(other_size, total - most, total - least, factorials)[::-1]
    )
    chances = np.exp(logs - logs.max())
    seen = chances[hits - least]
    return min(
        1.0,
        max(sys.float_info.min, float(chances[chances <= seen * (1 + 1e-7)].sum() / chances.sum())),
    )


def _log_chooses(
    n: int, least: int, most: int, factorials: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of n over each number from least to most. factorials: the logarithms of theirs, from 0 on.

    A loop over `math.lgamma` takes seconds for millions.
    """
    return np.asarray(
        factorials[n] - (factorials[least : most + 1] + factorials[n - most : n - least + 1][::-1])
    )


def wilson(hits: float, size: float, confidence: float) -> tuple[float, float]:
    """Two-sided interval of a share. Source: Wilson 1927, JASA 22."""
    z, share = NORMAL.inv_cdf((1 + confidence) / 2), hits / size
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = (
        z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def welch(
    old: Sequence[float], new: Sequence[float], confidence: float
) -> tuple[float, float] | None:
    """Interval of the difference of the means of two samples; None if one has a single value or neither varies.

    Source: Welch 1947, Biometrika 34.
    """
    if min(len(old), len(new)) < 2:
        return None
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (old, new)]
    if sum(parts) == 0:
        return None
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (old, new), strict=True)
    )
    half = student_quantile((1 + confidence) / 2, freedom) * math.sqrt(sum(parts))
    middle = float(np.mean(new) - np.mean(old))
    return middle - half, middle + half


@functools.lru_cache
def student_quantile(level: float, freedom: float) -> float:
    """Of Student's t, for a level above one half, by the beta distribution. Source: Abramowitz & Stegun 1964, 26.5.27."""
    share = beta_quantile(2 * (1 - level), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - share) / share)


def beta_quantile(level: float, a: float, b: float) -> float:
    """Where the beta distribution has that share below it, to 1e-12."""
    low, high = 0.0, 1.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if beta_share(middle, a, b) < level else (low, middle)
    return (low + high) / 2


def beta_share(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function. scipy has it too, and takes a third of a second to be imported.

    Source: the continued fraction of DLMF 8.17.22, by Lentz's method as Thompson & Barnett 1986 have it.
    """
    if not 0 < x < 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    factor = (
        math.exp(
            math.lgamma(a + b)
            - math.lgamma(a)
            - math.lgamma(b)
            + a * math.log(x)
            + b * math.log1p(-x)
        )
        / a
    )
    one, other, fraction = 1.0, 0.0, 1.0
    for m in range(10_000):
        k = m // 2
        if m == 0:
            term = 1.0
        elif m % 2 == 0:
            term = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        else:
            term = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
        other = 1 / (1 + term * other or 1e-300)
        one = 1 + term / one or 1e-300
        fraction *= one * other
        if abs(1 - one * other) < 1e-15:
            break
    return factor * (fraction - 1)


def _log_binomial(k: int, n: int, chance: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(chance) + (n - k) * math.log1p(-chance)


def tango(gained: float, lost: float, size: float, confidence: float) -> tuple[float, float]:
    """Bounds of the difference of two paired shares, each one-sided at that confidence: right where few pairs differ, or none.

    gained, lost  discordant pairs; size: all pairs
    Source: Tango 1998, Statistics in Medicine 17 (score interval).
    """
    limit = NORMAL.inv_cdf(confidence)

    def score(delta: float) -> float:
        a, c = 2.0 * size, -lost * delta * (1 - delta)
        b = -gained - lost + (2 * size - gained + lost) * delta
        lost_share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = size * (2 * lost_share + delta * (1 - delta))
        off = gained - lost - size * delta
        return (
            math.copysign(math.inf, off)
            if variance <= 0 and off
            else off / math.sqrt(variance)
            if variance > 0
            else 0.0
        )

    seen = (gained - lost) / size
    return _root(score, -1.0, seen, limit), _root(score, seen, 1.0, -limit)


def _root(score: Callable[[float], float], low: float, high: float, target: float) -> float:
    """Where a falling function has a value."""
    for _ in range(60):
        middle = (low + high) / 2
        if score(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
