"""seeds: what several trainings of one model came to, beside what differs over examples."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from lmspec.compare.evidence import Evidence
from lmspec.compare.judging import CONFIDENCE
from lmspec.compare.report import Metric, Seeds
from lmspec.compare.revision import Revision, number
from lmspec.statistics import exact


def seeded(evidence: Evidence, metrics: Iterable[Metric]) -> Iterator[Metric]:
    """With what several seeds came to, where what is scored, or what it was made from, was trained with several."""
    for metric in metrics:
        noun, key, *path = metric.name.split(".")
        trained = _trained(evidence.new, f"{noun}.{key}")
        if trained and metric.family == "test sets" and metric.verdict != "missing":
            old = _over_seeds(evidence.old, evidence.name("old", trained), path[-1])
            new = _over_seeds(evidence.new, trained, path[-1])
            if max(len(old), len(new)) > 1:
                metric = replace(
                    metric, seeds=Seeds(trained, old, new, exact.welch(old, new, CONFIDENCE))
                )
        yield metric


def _trained(revision: Revision, name: str) -> str | None:
    """The artifact itself, or what it was made from, if it was trained."""
    seen = set()
    while name in revision.artifacts and name not in seen:
        spec = revision.artifacts[name]
        if isinstance(spec.get("training"), dict):
            return name
        seen.add(name)
        name = str(spec.get("of"))
    return None


def _over_seeds(revision: Revision, name: str, metric: str) -> tuple[float, ...]:
    values = revision.metrics(name)
    seeds = values.get("seeds") if isinstance(values, Mapping) else None
    each = seeds.values() if isinstance(seeds, dict) else ()
    found = (number(one.get(metric)) for one in each if isinstance(one, dict))
    return tuple(value for value in found if value is not None)
