"""margins: how far a metric may lie from what was seen where too few predictions are wrong, or changed, for a bootstrap.

Replicates of a test set on which no answer changed all say 0, and those of one on which a single answer became right never say
less: they know nothing of what the next test set would bring. An exact interval of the share of each class does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmspec.statistics import exact
from lmspec.statistics.bootstrap import Floats, Ints

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Margin:
    """What a metric follows from: its answers, by class.

    effects  (classes,) what one answer moves the metric by
    sizes    (classes,) answers
    limits   (class, weight of an answer, confidence) -> how far its share may be below, and above, what was seen; each one-sided
    worth    how much of an example an answer tells: less than 1 where documents have several
    """

    effects: Floats
    sizes: Floats
    limits: Callable[[int, float, float], tuple[float, float]]
    worth: float

    def at(self, confidence: float, times: float = 1.0) -> tuple[float, float]:
        """How far the metric may be below, and above, with so many times as many examples of the same kind.

        Source: Zou & Donner 2008, Statistics in Medicine 27 (limits of a sum from the limits of its terms).
        """
        there = np.flatnonzero(self.sizes)
        distances = np.array([self.limits(int(i), self.worth * times, confidence) for i in there])
        below, above = np.sqrt((((self.effects * self.sizes)[there, None] * distances) ** 2).sum(0))
        return float(below), float(above)


def of_difference(old: Bools, new: Bools, label: Ints, effects: Floats, worth: float) -> Margin:
    """Of a difference. old, new: (n,) was the answer right? label: (n,) number of its class.

    Source: Tango 1998, Statistics in Medicine 17.
    """
    gained, lost, sizes = (
        _per_class(some, label, effects)
        for some in (new & ~old, old & ~new, np.ones(len(old), np.bool_))
    )

    def limits(number: int, weight: float, confidence: float) -> tuple[float, float]:
        seen = (gained[number] - lost[number]) / sizes[number]
        low, high = exact.tango(
            gained[number] * weight, lost[number] * weight, sizes[number] * weight, confidence
        )
        return seen - low, high - seen

    return Margin(effects, sizes, limits, worth)


def of_level(right: Bools, label: Ints, effects: Floats, worth: float) -> Margin:
    """Of the metric itself. Source: Clopper & Pearson 1934, Biometrika 26; in groups Korn & Graubard 1998."""
    hits, sizes = (
        _per_class(right, label, effects),
        _per_class(np.ones(len(right), np.bool_), label, effects),
    )

    def limits(number: int, weight: float, confidence: float) -> tuple[float, float]:
        seen = hits[number] / sizes[number]
        low, high = exact.clopper_pearson(hits[number] * weight, sizes[number] * weight, confidence)
        return seen - low, high - seen

    return Margin(effects, sizes, limits, worth)


def _per_class(some: Bools, label: Ints, effects: Floats) -> Floats:
    return np.bincount(label, some, len(effects)).astype(np.float64)
