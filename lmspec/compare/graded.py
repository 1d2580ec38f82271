"""graded: a metric of the project that is 0 or 1 of each answer is a share, as exact match is one.

Where all are 1, or none changed, replicates are all alike; the exact limits of a share are not.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmspec.statistics.answers import EXACT_MATCH, Answers, TextScale
from lmspec.statistics.arrays import Bools
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric
from lmspec.statistics.sides import Measure, Side

OWN = "own."  # before the name of a metric of the project


@dataclass(frozen=True)
class Graded(Answers):
    """Answers that are right where a metric of the project is 1. passed: (n,)"""

    passed: Bools

    @functools.cached_property
    def right(self) -> Bools:
        """(n,)"""
        return self.passed


def of_sample(sample: Sample, metric: SplitMetric) -> tuple[Sample, SplitMetric]:
    """A share of right answers and its sample, if the metric is 0 or 1; else both as they are."""
    sides = _graded([sample.predictions], metric)
    if sides is None:
        return sample, metric
    joined, worth = sample.joined, sample.worth
    return Sample(sides[0], _share(sample.scale), joined, worth), _exact_match(metric)


def of_pairs(paired: PairedSample, metric: SplitMetric) -> tuple[PairedSample, SplitMetric]:
    """The same of two models, in both of which it has to be 0 or 1."""
    sides = _graded([paired.pairs.baseline, paired.pairs.candidate], metric)
    if sides is None:
        return paired, metric
    pairs = replace(paired.pairs, baseline=sides[0], candidate=sides[1])
    scale, worth = _share(paired.scale), paired.worth
    return PairedSample(pairs, scale, paired.same, worth), _exact_match(metric)


def _graded(sides: Sequence[Side], metric: SplitMetric) -> list[Graded] | None:
    found = []
    for side in sides if metric.name.startswith(OWN) else ():
        if not isinstance(side, Answers) or metric.name not in side.parts:
            return None
        values = side.parts[metric.name].numbers[:, 1]
        if not np.isin(values, (0.0, 1.0)).all():
            return None
        columns = side.id, side.table, side.group, side.label, side.predicted
        found.append(Graded(*columns, side.parts, values > 0))
    return found or None


def _share(scale: Measure) -> TextScale:
    assert isinstance(scale, TextScale)  # of answers
    return TextScale({EXACT_MATCH: scale.formulas[EXACT_MATCH]})


def _exact_match(metric: SplitMetric) -> SplitMetric:
    return SplitMetric(EXACT_MATCH, metric.table)
