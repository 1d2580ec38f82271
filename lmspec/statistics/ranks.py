"""ranks: rank correlation of two short rows of numbers."""

import numpy as np

from lmspec.statistics.arrays import Floats


def ranks(values: Floats) -> Floats:
    """(n,) ranks from 0; equal values have the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(mean[place], np.float64)


def spearman(one: Floats, other: Floats) -> float:
    """Spearman's rank correlation; 0 if all values of one alone are equal: they order nothing."""
    first, second = ranks(one), ranks(other)
    if np.array_equal(first, second):
        return 1.0
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / size) if size > 0 else 0.0
