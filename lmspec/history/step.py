"""step: a metric from one commit to the next: better, worse, or within noise; and its interval."""

import math
from dataclasses import dataclass

from lmspec.compare import bounds, graded, untested
from lmspec.compare.artifact import NO_PREDICTIONS, WITH_EXAMPLES, Artifact
from lmspec.compare.evidence import NOT_DERIVABLE, ArtifactPair
from lmspec.compare.report import Better, Interval, Verdict
from lmspec.compare.revision import Revision, Unavailable
from lmspec.compare.verdicts import CONFIDENCE, LEVEL, of_sizes, towards
from lmspec.language import nouns
from lmspec.specs.names import MetricName
from lmspec.specs.results import EXACT
from lmspec.statistics.paired import split_metric

TWO_SIDED = (1 + CONFIDENCE) / 2  # level of each bound of a two-sided interval


@dataclass(frozen=True)
class Step:
    """difference: candidate - baseline, on their common examples where it has predictions.

    p  two-sided, for this metric alone
    """

    verdict: Verdict
    difference: float | None = None
    p: float | None = None
    reason: str | None = None


def direction(revision: Revision, name: MetricName) -> Better | None:
    """Which way the metric is better, as its stage declared it."""
    return bounds.better(_pair(revision, revision, name), name.path)


def interval(revision: Revision, name: MetricName, value: float) -> Interval | None:
    """95 % interval of the metric itself, from the predictions; (value, value) of an exact one."""
    if nouns.evidence(name.artifact, name.path) in EXACT:
        return value, value
    if not _is_scored(name):
        return None
    limits = bounds.of_value(Artifact(revision, str(name.artifact)), name.path, TWO_SIDED)
    if isinstance(limits, str) or not (math.isfinite(limits.low) and math.isfinite(limits.high)):
        return None
    return limits.low, limits.high


def step(
    baseline: Revision,
    candidate: Revision,
    name: MetricName,
    values: tuple[float, float],
    out_of_date: str | None,
    better: Better | None,
) -> Step:
    """Compare a commit with the previous one that has the metric.

    values       of the metric in the baseline and in the candidate
    out_of_date  why the metrics of one of them are
    better       which way the metric is better, if neither commit declares it
    """
    pair = _pair(baseline, candidate, name)
    plain = values[1] - values[0]
    if out_of_date is not None:
        return Step("not comparable", plain, reason=out_of_date)
    if reason := bounds.turned(pair, name.path):
        return Step("not comparable", plain, reason=reason)
    better = bounds.better(pair, name.path) or better
    if _is_scored(name) and better:
        return _scored(pair, name, plain, better)
    if plain == 0:
        return Step("same", 0.0)
    if better is None:
        return Step("changed", plain)
    evidence = nouns.evidence(name.artifact, name.path)
    if evidence == "size":
        return Step(of_sizes(plain, values[0], better), plain)
    if evidence in EXACT:
        return Step(towards(plain, better), plain)
    return _measured(pair, name, plain)


def _pair(baseline: Revision, candidate: Revision, name: MetricName) -> ArtifactPair:
    artifact = str(name.artifact)
    return ArtifactPair(Artifact(baseline, artifact), Artifact(candidate, artifact))


def _is_scored(name: MetricName) -> bool:
    exact = nouns.evidence(name.artifact, name.path) in EXACT
    return name.artifact.noun in WITH_EXAMPLES and len(name.path) > 1 and not exact


def _scored(pair: ArtifactPair, name: MetricName, plain: float, better: Better) -> Step:
    """Test it on paired predictions, as `lmspec diff` does."""
    paired = pair.testable(name.path)
    if paired == NOT_DERIVABLE:
        return Step("same" if plain == 0 else "untested", plain)
    if isinstance(paired, Unavailable):
        verdict: Verdict = "untested" if NO_PREDICTIONS in paired.reason else "not comparable"
        return Step(verdict, plain, reason=paired.reason)
    paired, part = graded.of_pairs(paired, split_metric(name.path[1:]))
    left_out = paired.left_out(part)
    if plain == 0 and paired.unchanged(part):
        return Step("same", 0.0)
    estimate = paired.difference(part)
    p = pair.cautious_p(name.path, estimate.value, paired.p(part, estimate)[0], better)
    significant = p <= LEVEL and estimate.value != 0
    verdict = towards(estimate.value, better) if significant else "inconclusive"
    return Step(verdict, estimate.value, p, left_out)


def _measured(pair: ArtifactPair, name: MetricName, plain: float) -> Step:
    """Compare rounds of measurement by their ratio; git keeps nothing that tells other spreads."""
    metric = nouns.metric(name.artifact, name.path)
    if metric is None or metric.column is None:
        return Step("untested", plain, reason=untested.reason(pair.name, name.path))
    ratio = bounds.of_ratio(pair, name.path, TWO_SIDED)
    if isinstance(ratio, str):
        return Step("untested", plain, reason=ratio)
    if ratio.low <= 1 <= ratio.high:
        return Step("inconclusive", plain)
    better = metric.better or "lower"
    return Step(towards(ratio.value - 1, better), plain)
