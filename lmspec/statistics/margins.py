"""margins: exact limits of a metric of answers, where too few are wrong, or changed, to bootstrap.

Replicates of a test set on which no answer changed all say 0, and those of one on which a single
answer became right never fall below 0: they say nothing of the next test set. An exact interval of
the share of each class does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmspec.statistics import exact
from lmspec.statistics.arrays import Bools, Floats, Interval, Ints


@dataclass(frozen=True)
class Margin:
    """How far a metric may be from its value, by the shares of its classes.

    effects  (classes,) what one answer moves the metric by
    sizes    (classes,) answers
    limits   (class, weight of an answer, confidence) -> how far the share of the class may be
             below and above what was observed, each one-sided
    worth    independent examples that an answer is worth: less than 1 in groups
    """

    effects: Floats
    sizes: Floats
    limits: Callable[[int, float, float], Interval]
    worth: float

    def at(self, confidence: float, times: float = 1.0) -> Interval:
        """How far the metric may be below and above, with `times` as many examples.

        Source: Zou & Donner 2008, Statistics in Medicine 27 (limits of a sum from those of its
        terms).
        """
        classes = np.flatnonzero(self.sizes)
        weight = self.worth * times
        distances = np.array([self.limits(int(i), weight, confidence) for i in classes])  # (c, 2)
        scales = (self.effects * self.sizes)[classes, None]  # (c, 1)
        below, above = np.sqrt(((scales * distances) ** 2).sum(0))
        return float(below), float(above)


def of_difference(
    baseline: Bools, candidate: Bools, label: Ints, effects: Floats, worth: float
) -> Margin:
    """Of a difference, by the discordant pairs of each class.

    baseline, candidate  (n,) was the answer right?
    label                (n,) number of its class
    Source: Tango 1998, Statistics in Medicine 17.
    """
    gained, lost, sizes = (
        _per_class(rows, label, effects)
        for rows in (candidate & ~baseline, baseline & ~candidate, np.ones_like(baseline))
    )

    def limits(number: int, weight: float, confidence: float) -> Interval:
        share = (gained[number] - lost[number]) / sizes[number]
        low, high = exact.tango(
            gained[number] * weight, lost[number] * weight, sizes[number] * weight, confidence
        )
        return share - low, high - share

    return Margin(effects, sizes, limits, worth)


def of_level(right: Bools, label: Ints, effects: Floats, worth: float) -> Margin:
    """Of the metric itself, by the right answers of each class.

    Source: Clopper & Pearson 1934, Biometrika 26; in groups Korn & Graubard 1998.
    """
    hits, sizes = (_per_class(rows, label, effects) for rows in (right, np.ones_like(right)))

    def limits(number: int, weight: float, confidence: float) -> Interval:
        share = hits[number] / sizes[number]
        low, high = exact.clopper_pearson(hits[number] * weight, sizes[number] * weight, confidence)
        return share - low, high - share

    return Margin(effects, sizes, limits, worth)


def _per_class(rows: Bools, label: Ints, effects: Floats) -> Floats:
    """(classes,) how many of the rows are of each class."""
    return np.bincount(label, rows, len(effects)).astype(np.float64)
