"""standing: what scores are worth beside a constant answer, and beside the linear baseline.

The intervals are exact ones of the answers, not bootstrapped: a comparison shows many of them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.compare.against import Majority
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Distance, Interval, Standing
from lmspec.compare.revision import Revision, Unavailable
from lmspec.language import nouns
from lmspec.methods import majority
from lmspec.specs.gates import MAJORITY
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric

LEVEL = 0.975  # of each bound of a 95 % interval
FEWEST = 6  # units, independent examples or groups, from which a difference has an interval
METRICS = SplitMetric("accuracy", None), SplitMetric("balanced_accuracy", None)


def linear_baselines(revision: Revision) -> list[str]:
    """The scores of a revision whose model is of kind `linear`, in the order of params.yaml."""
    return [name for name in revision.artifacts if _is_linear(revision, name)]


def _is_linear(revision: Revision, scores: str) -> bool:
    if not scores.startswith("scores."):
        return False
    name = str(revision.artifacts[scores].get("of"))
    for _ in revision.artifacts:  # no line is longer, whatever an invalid spec refers to
        field = nouns.of(name.partition(".")[0]).origin
        if field is None or name not in revision.artifacts:
            break
        name = str(revision.artifacts[name].get(field))
    architecture = revision.artifacts.get(name, {}).get("architecture")
    return isinstance(architecture, Mapping) and architecture.get("kind") == "linear"


def standing(scores: Artifact, dataset: str, linear: Artifact | None) -> Standing | None:
    """Of the scores on one test split; None if git has no predictions of it.

    linear  scores of the linear baseline, if there are any
    """
    sample = scores.sample(dataset)
    if isinstance(sample, Unavailable):
        return None
    distances = list(_distances(Majority(scores), scores, dataset, MAJORITY))
    if linear is not None and linear.name != scores.name:
        distances += _distances(linear, scores, dataset, linear.name)
    warnings = tuple(_warnings(scores.name, dataset, sample, distances))
    examples = len(sample.predictions.id)
    return Standing(scores.name, dataset, examples, tuple(distances), warnings)


def _distances(other: Artifact, scores: Artifact, dataset: str, against: str) -> Iterator[Distance]:
    paired = ArtifactPair(other, scores).sample(dataset)
    if isinstance(paired, Unavailable):
        return
    answer = other.answer(dataset) if isinstance(other, Majority) else None
    for metric in METRICS:
        values = [_plain(end, dataset, metric) for end in (other, scores)]
        difference = values[1] - values[0]
        interval = _interval(paired, metric, difference)
        yield Distance(against, answer, metric.name, values[1], values[0], difference, interval)


def _plain(end: Artifact, dataset: str, metric: SplitMetric) -> float:
    sample = end.sample(dataset)
    assert isinstance(sample, Sample)  # they could be paired
    return sample.plain(metric)[0]


def _interval(paired: PairedSample, metric: SplitMetric, difference: float) -> Interval | None:
    groups = paired.pairs.groups
    units = len(paired.rows(None)) if groups is None else len(set(groups.tolist()))
    if units < FEWEST:
        return None
    below, above = paired.margin(metric).at(LEVEL)
    return difference - below, difference + above


def _warnings(name: str, dataset: str, sample: Sample, distances: list[Distance]) -> Iterator[str]:
    answers = sample.predictions
    remarks = [
        *majority.remarks((name, dataset), sample.scale.labels, answers.label, answers.predicted)
    ]
    yield from remarks
    constant = [distance for distance in distances if distance.against == MAJORITY]
    if not any(map(is_shown, constant)) and not any(text.startswith(name) for text in remarks):
        answer = constant[0].answer if constant else None
        yield f"{name} on {dataset} may be no better than always {answer!r}: {in_words(constant)}"
    worse = [d for d in distances if d not in constant and d.interval and d.interval[1] < 0]
    if worse:
        yield f"{name} on {dataset} is worse than {worse[0].against}: {in_words(worse)}"


def is_shown(distance: Distance) -> bool:
    """Is the difference above 0 beyond chance?"""
    return distance.interval is not None and distance.interval[0] > 0


def in_words(distances: list[Distance]) -> str:
    """`accuracy +0.012 [-0.02, +0.04]`, ..."""
    return ", ".join(
        f"{d.metric.replace('_', ' ')} {d.difference:+.3f}"
        + (f" [{d.interval[0]:+.3f}, {d.interval[1]:+.3f}]" if d.interval else "")
        for d in distances
    )


def standings(pairs: Mapping[str, ArtifactPair], candidate: Revision) -> Iterator[Standing]:
    """Of the candidate's scores that changed or are new; of others, those that look worthless."""
    linear = [pairs[name].candidate for name in linear_baselines(candidate)]
    for pair in pairs.values():
        scores = pair.candidate
        if pair.noun != "scores" or not scores.exists or scores.out_of_date is not None:
            continue
        metrics = scores.metrics if isinstance(scores.metrics, Mapping) else {}
        for dataset, values in metrics.items():
            if pair.same_predictions and not _looks_worthless(values):
                continue
            others = (other for other in linear if other.out_of_date is None)
            other = next((each for each in others if dataset in each.predictions), None)
            if worth := standing(scores, dataset, other):
                yield worth


def _looks_worthless(values: Any) -> bool:
    """By metrics alone, so that the predictions of unchanged scores are not read."""
    if not isinstance(values, Mapping):
        return False
    constant = values.get("majority")
    share = constant.get("accuracy") if isinstance(constant, Mapping) else None
    accuracy = values.get("accuracy")
    return bool(
        values.get("predicted_labels") == 1
        or values.get("empty_labels")
        or (isinstance(share, float) and isinstance(accuracy, float) and accuracy <= share)
    )
