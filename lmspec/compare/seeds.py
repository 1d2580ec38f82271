"""seeds: a metric over several trainings of one model, beside its test on the examples."""

from collections.abc import Iterator
from dataclasses import replace

from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import Evidence
from lmspec.compare.report import Metric, Seeds
from lmspec.compare.revision import at
from lmspec.compare.verdicts import CONFIDENCE
from lmspec.specs.names import MetricName
from lmspec.statistics import exact


def with_seeds(evidence: Evidence, metric: Metric) -> Metric:
    """Adds the values over seeds, if the model behind the metric was trained with several."""
    if metric.family != "test sets":
        return metric
    artifact, path = MetricName.parse(metric.name)
    trained = _trained(evidence.pair(str(artifact)).candidate)
    if trained is None:
        return metric
    baseline, candidate = (tuple(_over_seeds(end, path[-1])) for end in evidence.pair(trained))
    if max(len(baseline), len(candidate)) < 2:
        return metric
    seeds = Seeds(trained, baseline, candidate, exact.welch(baseline, candidate, CONFIDENCE))
    return replace(metric, seeds=seeds)


def _trained(artifact: Artifact) -> str | None:
    """The artifact itself, or what it was made from, if that was trained."""
    visited: set[str] = set()
    while artifact.exists and artifact.name not in visited:
        if isinstance(artifact.spec.get("training"), dict):
            return artifact.name
        visited.add(artifact.name)
        artifact = Artifact(artifact.revision, str(artifact.spec.get("of")))
    return None


def _over_seeds(artifact: Artifact, metric: str) -> Iterator[float]:
    seeds = at(artifact.metrics, ("seeds",))
    for seed in seeds if isinstance(seeds, dict) else ():
        value = artifact.number(("seeds", seed, metric))
        if value is not None:
            yield value
