"""folding: metrics that all say the same, one row an artifact: what is new, what is noise."""

from collections.abc import Collection, Sequence

from lmspec.compare.report import Metric, Ratio, Verdict
from lmspec.compare.untested import OF_SEEDS
from lmspec.errors import some
from lmspec.specs.names import MetricName
from lmspec.specs.results import HEADLINES

SHOWN = {*HEADLINES, "exact_match", "bleu", "chrf"}
FEWEST = 4  # metrics of one artifact that are folded
DECIDED = ("better", "worse", "missing")
ALIKE = ("new", "removed", "not comparable")  # for the same reason


def folded(metrics: Sequence[Metric], remeasured: Collection[str]) -> list[Metric]:
    """The metrics, in order; a fold is named `corpus.tweets.*` and has the place of its first one.

    remeasured  artifacts that were only timed again
    """
    keys = [_key(metric, remeasured) for metric in metrics]
    groups: dict[tuple[str, ...], list[Metric]] = {}
    for key, metric in zip(keys, metrics, strict=True):
        groups.setdefault(key, []).append(metric)
    shown: dict[str, Metric] = {}
    for key, metric in zip(keys, metrics, strict=True):
        group = groups[key]
        if len(key) > 1 and len(group) >= FEWEST:
            metric = _fold(key, group)
        shown[f"{metric.name} {metric.verdict}"] = metric
    return list(shown.values())


def _key(metric: Metric, remeasured: Collection[str]) -> tuple[str, ...]:
    """What it has in common with others; its name alone if it is not folded."""
    artifact, path = MetricName.parse(metric.name)
    if str(artifact) in remeasured and metric.verdict not in DECIDED:
        return str(artifact), "inconclusive", "measured again: no difference beyond noise"
    headline = artifact.noun == "scores" and len(path) == 2 and path[1] in SHOWN
    if (metric.verdict in ALIKE and not headline) or metric.reason == OF_SEEDS:
        return str(artifact), metric.verdict, metric.reason or ""
    return (metric.name,)


def _fold(key: tuple[str, ...], group: Sequence[Metric]) -> Metric:
    artifact, what, why = key
    verdict: Verdict = "inconclusive" if what == "inconclusive" else group[0].verdict
    names = some([".".join(MetricName.parse(metric.name).path) for metric in group])
    reason = f"{why} ({len(group)} metrics)" if why else f"{len(group)} metrics: {names}"
    return Metric(f"{artifact}.*", None, None, None, None, verdict, reason=reason)


def is_noise(ratio: Ratio, remeasured: Collection[str]) -> bool:
    """Is it one of what was only timed again, without a difference?"""
    artifact = str(MetricName.parse(ratio.name).artifact)
    return artifact in remeasured and ratio.verdict not in DECIDED
