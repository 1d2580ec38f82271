"""means: the mean of a value over texts, with its interval."""

from dataclasses import dataclass

import numpy as np

from lmspec.statistics import bootstrap
from lmspec.statistics.arrays import Floats, Interval, Ints
from lmspec.statistics.bootstrap import Estimate

CONFIDENCE = 0.95


def estimate(values: Floats, groups: Ints | None = None) -> Estimate:
    """The mean of values (n,), resampled by groups (n,) of what was sampled together."""
    parts = np.stack([values, np.ones(len(values))], 1)
    plan = bootstrap.resampling(np.zeros(len(values), np.int64), groups)
    return bootstrap.estimate(bootstrap.draws(parts, plan), _ratio)


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))


@dataclass(frozen=True)
class Mean:
    """A mean with its interval."""

    value: float
    interval: Interval


def mean(values: Floats, limits: Interval, groups: Ints | None = None) -> Mean:
    """The mean with its 95 % interval, within what the value can be: all of it for few values."""
    found = estimate(values, groups)
    low, high = found.interval(CONFIDENCE)
    return Mean(found.value, (max(low, limits[0]), min(high, limits[1])))
