"""bounds: one-sided confidence bounds of a metric, a difference, a ratio or a gap, for gates."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmspec.compare import graded, ratios, untested
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import NOT_DERIVABLE, ArtifactPair
from lmspec.compare.report import Better
from lmspec.compare.revision import Unavailable
from lmspec.language import metric_names, nouns
from lmspec.specs.names import ArtifactName, MetricPath
from lmspec.specs.results import EXACT
from lmspec.statistics import bootstrap, exact
from lmspec.statistics.arrays import Floats, Interval
from lmspec.statistics.bootstrap import Estimate
from lmspec.statistics.margins import Margin
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric, split_metric

MOST = 10**9  # examples; asking for more is no advice


@dataclass(frozen=True)
class Bounds:
    """A value between two bounds, each one-sided at `confidence`.

    error   standard error of the value among `examples`
    margin  exact limits, of a metric of answers
    few     why the bounds are infinite, in words
    """

    value: float
    low: float
    high: float
    examples: int = 0
    error: float = 0.0
    confidence: float = 0.95
    margin: Margin | None = None
    few: str | None = None

    def within(self, low: float, high: float) -> "Bounds":
        """Limited to what the metric can be."""
        return replace(self, low=max(low, self.low), high=min(high, self.high))

    def hull(self, other: "Bounds") -> "Bounds":
        """The wider of both on each side, without a spread: more examples might not decide."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Bounds(self.value, low, high, few=self.few or other.few)

    def needed_at(self, limit: float) -> int | None:
        """About how many examples would put a bound on one side of the limit; None if unknown."""
        if not self.examples:
            return None
        plain = (
            bootstrap.needed(self.examples, self.error, self.value - limit, self.confidence)
            if self.error
            else None
        )
        if plain is not None and plain > MOST:
            return None  # the value is at the limit up to floating-point error
        margin = self.margin
        if margin is None:
            return None if plain is None else max(plain, self.examples + 1)

        def decides(examples: int) -> bool:
            below, above = margin.at(self.confidence, examples / self.examples)
            return not self.value - below <= limit <= self.value + above

        exactly = fewest(decides, self.examples)
        return None if exactly is None else max(exactly, plain or 0)


def exactly(value: float) -> Bounds:
    """Of a value without an error."""
    return Bounds(value, value, value)


def of_value(artifact: Artifact, path: MetricPath, confidence: float) -> Bounds | str:
    """Bounds of a metric of a test split, or the reason why it has none."""
    metric = split_metric(path[1:])
    sample = _sample(artifact, path[0], [metric])
    return sample if isinstance(sample, str) else of_sample(sample, metric, confidence)


def _sample(artifact: Artifact, dataset: str, metrics: Sequence[SplitMetric]) -> Sample | str:
    """The predictions that the metrics follow from; or why they do not."""
    sample = artifact.sample(dataset)
    if isinstance(sample, Unavailable):
        return sample.reason
    for metric in metrics:
        if not sample.scale.computes(metric.name):
            return NOT_DERIVABLE.reason
        if reason := sample.no_example(metric):
            return reason
        if reason := artifact.disagreement(dataset, metric):
            return reason
    return sample


def of_level(pair: ArtifactPair, path: MetricPath, confidence: float) -> Bounds | str:
    """Bounds of the candidate's metric, or the reason why it has none.

    Uses the groups of both revisions. Test examples of the baseline that it lacks count as wrong.
    """
    metric = split_metric(path[1:])
    own = _sample(pair.candidate, path[0], [metric])
    if isinstance(own, str):
        return own
    on_each_test_set = (
        of_sample(sample, metric, confidence)
        for sample in pair.levels(path[0])
        if sample.rows(metric.table).size
    )
    return functools.reduce(Bounds.hull, on_each_test_set)


def of_sample(sample: Sample, metric: SplitMetric, confidence: float) -> Bounds:
    """Bounds of a metric by the predictions of one model."""
    sample, metric = graded.of_sample(sample, metric)
    estimate, examples = sample.value(metric), len(sample.rows(metric.table))
    bounds = _of_estimate(estimate, examples, confidence)
    if metric.name == "expected_calibration_error":
        bounds = _debiased(bounds, sample.scatter(metric, confidence))
    if metric.of_answers:
        bounds = _within_exact(bounds, sample.margin(metric))
    bounds = _of_few(bounds, estimate, sample.groups is not None)
    return bounds.within(*sample.scale.limits(metric.name))


def _of_few(bounds: Bounds, estimate: Estimate, grouped: bool) -> Bounds:
    """Widened to what the subsets of few units allow: infinite if the units are too few."""
    low, high = estimate.typical(1 - bounds.confidence), estimate.typical(bounds.confidence)
    if math.isfinite(high):
        return replace(bounds, low=min(low, bounds.low), high=max(high, bounds.high))
    unit = "group" if grouped else "example"
    few = f"{estimate.worth:,} {unit}{'s' * (estimate.worth != 1)}: nothing can be shown"
    return Bounds(bounds.value, low, high, confidence=bounds.confidence, few=few)


def _debiased(bounds: Bounds, scatter: float) -> Bounds:
    """Of a calibration error, which chance makes larger.

    Replicates have that bias twice, so BCa corrects too much of it; the low bound takes away all
    that chance may have added.
    """
    high = bounds.value + exact.NORMAL.inv_cdf(bounds.confidence) * bounds.error
    low = min(bounds.low, bounds.value - scatter)
    return replace(bounds, low=low, high=max(bounds.high, high))


def _within_exact(bounds: Bounds, margin: Margin) -> Bounds:
    """No tighter than exact intervals of the answers.

    With 1.5 % discordant pairs BCa's lower bound of a macro F1 misses the truth in 58 % of test
    sets of 50 examples and 15 % of those of 200; with this in 0 and 0.4 % (bench/bounds.md).
    """
    below, above = margin.at(bounds.confidence)
    return _widened(replace(bounds, margin=margin), bounds.value - below, bounds.value + above)


def _widened(bounds: Bounds, low: float, high: float) -> Bounds:
    """By other bounds; replaced by them where the bootstrap has no spread."""
    if bounds.error:
        low, high = min(low, bounds.low), max(high, bounds.high)
    return replace(bounds, low=low, high=high)


def of_difference(pair: ArtifactPair, path: MetricPath, confidence: float) -> Bounds | str:
    """Bounds of candidate - baseline, or the reason why it has none."""
    baseline, candidate = (end.number(path) for end in pair)
    if nouns.evidence(pair.name, path) in EXACT:
        if baseline is None or candidate is None:
            return f"{_lacking(pair, baseline)} does not have it"
        return exactly(candidate - baseline)
    if not pair.has_examples:
        return (
            exactly(0.0) if baseline == candidate is not None else untested.reason(pair.name, path)
        )
    paired = pair.testable(path)
    if isinstance(paired, Unavailable):
        return paired.reason
    metric, whole = split_metric(path[1:]), pair.whole(path[0])
    counted, share = graded.of_pairs(paired, metric)
    if counted.is_constant(share):
        return exactly(0.0)
    same = whole is not None and not paired.differing.any()
    bounds = exactly(0.0) if same else of_pairs(paired, metric, confidence)
    if whole is None or pair.lacking_note(path[0], metric.table) is None:
        return bounds
    return bounds.hull(of_pairs(whole, metric, confidence))


def _lacking(pair: ArtifactPair, baseline: float | None) -> str:
    """The end without a usable number, as messages call it."""
    return (pair.candidate if baseline and baseline > 0 else pair.baseline).called


def of_pairs(paired: PairedSample, metric: SplitMetric, confidence: float) -> Bounds:
    """Bounds of the difference of a metric by the predictions of two models.

    A difference that the test of `lmspec diff` does not reject keeps 0 within its bounds.
    """
    paired, metric = graded.of_pairs(paired, metric)
    estimate = paired.difference(metric)
    bounds = _of_estimate(estimate, len(paired.rows(metric.table)), confidence)
    if metric.of_answers:
        bounds = _within_exact(bounds, paired.margin(metric))
    if paired.p(metric, estimate)[0] / 2 > 1 - confidence:
        bounds = replace(bounds, low=min(bounds.low, 0.0), high=max(bounds.high, 0.0))
    return _of_few(bounds, estimate, paired.pairs.groups is not None)


def _of_estimate(estimate: Estimate, examples: int, confidence: float) -> Bounds:
    """Unbounded where all replicates are alike: they say nothing of another test set."""
    if not estimate.error:
        return Bounds(estimate.value, -math.inf, math.inf, examples, 0.0, confidence)
    low, high = estimate.bound(1 - confidence), estimate.bound(confidence)
    return Bounds(estimate.value, low, high, examples, estimate.error, confidence)


def of_ratio(pair: ArtifactPair, path: MetricPath, confidence: float) -> Bounds | str:
    """Bounds of candidate / baseline, or the reason why it has none."""
    baseline, candidate = (end.number(path) for end in pair)
    if not baseline or not candidate or min(baseline, candidate) < 0:
        return f"{_lacking(pair, baseline)} does not have it, or it is not above 0"
    if nouns.evidence(pair.name, path) in ("size", "peak") or _of_one_run(pair):
        return exactly(candidate / baseline)
    metric = nouns.metric(pair.name, path)
    rounds = ratios.rounds(pair, metric.column if metric else None)
    if isinstance(rounds, str):
        other = (
            "the baseline's"
            if pair.baseline.name == pair.name
            else f"that of {pair.baseline.called}"
        )
        return f"it is {candidate / baseline:.4g} times {other}, {rounds}"
    return Bounds(math.exp(rounds.value), rounds.bound(1 - confidence), rounds.bound(confidence))


def _of_one_run(pair: ArtifactPair) -> bool:
    """Are the two metrics files the same bytes, and so of one run?"""
    baseline, candidate = (
        end.revision.tree.read(ArtifactName.parse(end.name).metrics) for end in pair
    )
    return baseline is not None and baseline == candidate


def of_gap(pair: ArtifactPair, paths: Sequence[MetricPath], confidence: float) -> Bounds | str:
    """Bounds of the best less the worst of several metrics of one test split; or why none."""
    metrics = [split_metric(path[1:]) for path in paths]
    datasets = {path[0] for path in paths}
    if len(datasets) > 1 or len({metric.name.partition(".")[0] for metric in metrics}) > 1:
        return "a gap is between classes or tables of one test split, in one metric"
    own = _sample(pair.candidate, paths[0][0], metrics)
    if isinstance(own, str):
        return own
    on_each_test_set = []
    for sample in pair.levels(paths[0][0]):
        # examples of a new table may count in their former tables, so it may have none here
        compared = [metric for metric in metrics if sample.rows(metric.table).size]
        if len(compared) > 1:
            estimate = _of_estimate(_gap(sample, compared), len(sample.rows(None)), confidence)
            on_each_test_set.append(_gap_within_exact(estimate, sample, compared))
    return functools.reduce(Bounds.hull, on_each_test_set)


def _gap_within_exact(gap: Bounds, sample: Sample, metrics: Sequence[SplitMetric]) -> Bounds:
    """No tighter than the intervals of any two of the metrics allow.

    Source: Zou & Donner 2008, Statistics in Medicine 27 (MOVER: limits of a difference).
    """
    values = np.array([sample.plain(metric)[0] for metric in metrics])  # (m,)
    below, above = np.array([_distances(sample, m, gap.confidence) for m in metrics]).T  # (m,) each
    # (m, m): of each metric over each other one
    high = float((values[:, None] - values + np.hypot(above[:, None], below)).max())
    best, worst = values.argmax(), values.argmin()
    low = max(0.0, gap.value - float(np.hypot(below[best], above[worst])))
    return _widened(gap, low, high)


def _distances(sample: Sample, metric: SplitMetric, confidence: float) -> Interval:
    """How far below and above its value a metric may be: exactly if of answers, else bootstrap."""
    bounds = of_sample(sample, metric, confidence)
    if metric.of_answers and not bounds.few:
        return sample.margin(metric).at(confidence)
    return bounds.value - bounds.low, bounds.high - bounds.value


def _gap(sample: Sample, metrics: Sequence[SplitMetric]) -> Estimate:
    estimates = [sample.value(metric) for metric in metrics]
    values = np.array([estimate.value for estimate in estimates])  # (m,)
    drawn = np.stack([estimate.replicates for estimate in estimates])  # (m, b)
    if len({metric.table for metric in metrics}) == 1:
        # classes share their examples: leaving one out moves all values; (m, units)
        left_out = np.stack([estimate.jackknife for estimate in estimates])
        jackknife = left_out.max(0) - left_out.min(0)
    else:  # tables share no example: leaving one out moves one value
        jackknife = np.concatenate(
            [_moving(values, i, estimate.jackknife) for i, estimate in enumerate(estimates)]
        )
    gap = float(values.max() - values.min())
    return Estimate(gap, drawn.max(0) - drawn.min(0), jackknife)


def _moving(values: Floats, place: int, moved: Floats) -> Floats:
    """(units,) the gap as one of the values takes each of `moved`."""
    others = np.delete(values, place)
    return np.asarray(np.maximum(moved, others.max()) - np.minimum(moved, others.min()))


def needed_for_rate(rate: float, limit: float, confidence: float) -> int | None:
    """About how many examples would put a bound of the rate on one side of the limit."""
    if not 0 < limit < 1 or rate == limit:
        return None

    def decides(examples: int) -> bool:
        low, high = exact.clopper_pearson(rate * examples, examples, confidence)
        return not low <= limit <= high

    return fewest(decides)


def fewest(decides: Callable[[int], bool], most: int = 1) -> int | None:
    """The smallest number that decides, where all larger ones do; None if none up to 10^9 does.

    most  one that does not decide, or 1
    """
    high = most
    while not decides(high):
        high *= 2
        if high > MOST:
            return None
    low = max(high // 2, most - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def better(pair: ArtifactPair, path: MetricPath) -> Better | None:
    """Which way a metric is better, as the stage of either revision declares it.

    None if neither does, or if they contradict each other: see `turned`.
    """
    ways = {way for end in pair if (way := _declared(end, path))}
    return ways.pop() if len(ways) == 1 else None


def turned(pair: ArtifactPair, path: MetricPath) -> str | None:
    """How the two stages contradict each other on which way is better; None if they do not.

    With the candidate's direction alone, an edit of its stage could turn every loss into a gain.
    """
    ways = [_declared(end, path) for end in pair]
    if None in ways or ways[0] == ways[1]:
        return None
    return (
        f"{ways[0]} is better in {pair.baseline.revision.name}, "
        f"and {ways[1]} in {pair.candidate.revision.name}"
    )


def _declared(end: Artifact, path: MetricPath) -> Better | None:
    """If several declared names match, the one nearest to the end decides, then the longest.

    None for a fact, such as the accuracy of a constant answer, which is called like a metric.
    """
    known = nouns.metric(end.name, path)
    if known is not None and known.better is None:
        return None
    ranks: dict[tuple[int, int], Better] = {}
    for declared, way in end.revision.directions(end.name).items() if end.exists else ():
        steps = tuple(declared.split("."))
        for stop in range(len(metric_names.without_label(path)), len(steps) - 1, -1):
            if path[stop - len(steps) : stop] == steps and way in ("higher", "lower"):
                ranks[stop, len(steps)] = "higher" if way == "higher" else "lower"
    return ranks[max(ranks)] if ranks else None
