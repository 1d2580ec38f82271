"""effects: how much of a metric's change each factor makes, from the metric at every mix.

Intervals come from a bootstrap that draws the same examples for all mixes.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lmspec.attribution.design import BASELINE, Design, Mix, Weights
from lmspec.compare.revision import Unavailable
from lmspec.compare.verdicts import CONFIDENCE
from lmspec.statistics import bootstrap, paired
from lmspec.statistics.arrays import Floats, Interval
from lmspec.statistics.paired import Sample, SplitMetric
from lmspec.statistics.predictions import joined

ROUNDING = 1e-12  # what cancels out leaves the last digits of floats


@dataclass(frozen=True)
class Measurement:
    """A metric at one mix. value: as its file states it; sample: the predictions behind it."""

    value: float
    sample: Sample | Unavailable


Samples = Mapping[Mix, Sample]
Measurements = Mapping[Mix, Measurement]


@dataclass(frozen=True)
class Amount:
    """A difference. interval: 95 %; None if the spread is not known."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Effect:
    """Of one factor. None: a mix that it needs could not be built, or the factor is pinned."""

    factor: str
    effect: Amount | None
    alone: Amount | None
    last: Amount | None


@dataclass(frozen=True)
class Interaction:
    """Of several factors; see `Design.interaction`. None: not known."""

    factors: tuple[str, ...]
    amount: Amount | None


@dataclass(frozen=True)
class Attribution:
    """Why one metric changed.

    baseline, candidate  its values, each on its own test split
    total                the difference, on the examples common to all mixes
    examples             their number; None if amounts follow from the values alone
    notes                what was left out, or why there are no intervals
    """

    metric: str
    baseline: float
    candidate: float
    total: Amount
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    examples: int | None
    notes: tuple[str, ...]


def attribute(
    name: str, metric: SplitMetric, design: Design, measured: Measurements
) -> Attribution:
    """measured: the mixes that could be built, and both commits."""
    common = _common(metric, measured)
    values = {mix: measurement.value for mix, measurement in measured.items()}

    def amount(weights: Weights | None) -> Amount | None:
        if weights is None or not weights.keys() <= measured.keys():
            return None
        if isinstance(common, _Common):
            return common.amount(weights)
        return Amount(sum(weight * values[mix] for mix, weight in weights.items()), None)

    total = amount(design.total())
    assert total is not None  # both commits are measured
    return Attribution(
        name,
        values[BASELINE],
        values[design.candidate],
        total,
        tuple(
            Effect(f, amount(design.effect(f)), amount(design.alone(f)), amount(design.last(f)))
            for f in design.factors
        ),
        tuple(
            Interaction(some, amount(design.interaction(some))) for some in design.interactions()
        ),
        len(common.rows) if isinstance(common, _Common) else None,
        _notes(common, measured),
    )


class _Common:
    """The examples that all mixes have with the same label, and the answers of each mix.

    rows   (examples,) of the metric's table
    parts  mix -> (n, width) what each example adds to the sums of the scale
    """

    def __init__(self, metric: SplitMetric, samples: Samples) -> None:
        self.metric, self.samples = metric, samples
        last = list(samples.values())[-1]  # the candidate
        answers = last.predictions
        self.chosen = answers.strata.of(metric.table)
        self.rows = last.rows(metric.table)
        groups = functools.reduce(joined, (s.predictions.groups for s in samples.values()))
        self.parts = {mix: s.scale.parts(s.predictions) for mix, s in samples.items()}
        self.draws = bootstrap.draws(
            np.concatenate(list(self.parts.values()), axis=1),
            paired.plan(answers.strata.numbers, groups),
        )

    def amount(self, weights: Weights) -> Amount:
        """The weighted sum of the metric over mixes, all resampled together."""

        def statistic(sums: Floats) -> Floats:
            total, start = np.zeros(sums.shape[:-1]), 0
            for mix, sample in self.samples.items():
                scale = sample.scale
                if mix in weights:
                    own = sums[..., start + sample.columns(self.metric)]
                    total = total + weights[mix] * scale.metric(self.metric.name, own)
                start += scale.width
            return np.asarray(total)

        estimate = bootstrap.estimate(self.draws, statistic, self.chosen)
        if estimate.error > ROUNDING:
            low, high = estimate.interval(CONFIDENCE)
            return Amount(estimate.value, (low, high) if math.isfinite(high - low) else None)
        return Amount(0.0, (0.0, 0.0)) if self._cancels(weights) else Amount(estimate.value, None)

    def _cancels(self, weights: Weights) -> bool:
        """Do the weights of mixes with equal answers sum to 0? Then it is 0 on every test set."""
        sums: dict[bytes, float] = {}
        for mix, weight in weights.items():
            columns = self.samples[mix].columns(self.metric)
            answers = self.parts[mix][self.rows][:, columns].tobytes()
            sums[answers] = sums.get(answers, 0.0) + weight
        return all(abs(weight) < ROUNDING for weight in sums.values())


def _common(metric: SplitMetric, measured: Measurements) -> _Common | str:
    """Or why there are no intervals."""
    samples: dict[Mix, Sample] = {}
    for mix, measurement in sorted(measured.items(), key=lambda item: len(item[0])):
        sample = measurement.sample
        if isinstance(sample, Unavailable):
            return sample.reason
        if not sample.scale.computes(metric.name):
            return "it does not follow from the predictions"
        if reason := sample.no_example(metric):
            return f"{reason} in at least one test split"
        counted, _ = sample.plain(metric)
        if abs(counted - measurement.value) > sample.slack(metric):
            return (
                f"another scorer: predictions give {counted:.6g}, "
                f"and the metrics say {measurement.value:.6g}"
            )
        samples[mix] = sample
    if len({frozenset(sample.scale.labels) for sample in samples.values()}) > 1:
        return "the labels differ"
    return _in_common(metric, samples)


def _in_common(metric: SplitMetric, samples: Samples) -> _Common | str:
    examples = [
        list(zip(s.predictions.id, s.predictions.label, strict=True)) for s in samples.values()
    ]
    shared = set(examples[0]).intersection(*examples)
    common = {}
    for (mix, sample), own in zip(samples.items(), examples, strict=True):
        rows = {example: i for i, example in enumerate(own)}
        chosen = np.array([rows[e] for e in examples[0] if e in shared], np.int64)
        common[mix] = Sample(sample.predictions.rows(chosen), sample.scale)
    last = list(common.values())[-1]
    if not last.rows(metric.table).size or last.no_example(metric):
        return "another test set: the mixes have no example in common"
    return _Common(metric, common)


def _notes(common: _Common | str, measured: Measurements) -> tuple[str, ...]:
    if isinstance(common, str):
        return (f"values without intervals: {common}",)
    samples = (m.sample for m in measured.values())
    sizes = {len(s.rows(common.metric.table)) for s in samples if isinstance(s, Sample)}
    if max(sizes) == len(common.rows):
        return ()
    full = " to ".join(f"{size:,}" for size in sorted({min(sizes), max(sizes)}))
    return (
        f"on the {len(common.rows):,} examples common to all mixes, of {full} in their test "
        "splits; no effect includes what the others did to the values",
    )
