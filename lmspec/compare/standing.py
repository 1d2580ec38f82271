"""standing: what scores are worth beside a constant answer, and beside a simple baseline.

That is a linear model where answers are labels, and the answer to the nearest training prompt where
they are texts. Intervals of labels and exact matches are exact ones, not bootstrapped: a comparison
shows many of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.compare.against import Majority
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Distance, Interval, Standing
from lmspec.compare.revision import Revision, Unavailable
from lmspec.compare.verdicts import CONFIDENCE
from lmspec.methods import majority
from lmspec.specs.gates import MAJORITY
from lmspec.statistics.answers import PER_BYTE, Answers, Choices, TextScale
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric

LEVEL = 0.975  # of each bound of a 95 % interval
FEWEST = 6  # units, independent examples or groups, from which a difference has an interval
ACCURACY = "accuracy"
METRICS = SplitMetric(ACCURACY, None), SplitMetric("balanced_accuracy", None)
OF_TEXTS = SplitMetric("exact_match", None), SplitMetric("chrf", None)
SIMPLE = ("linear", "nearest")  # kinds of models that others must beat
ALIKE = 0.5  # of all answers: the same text so often, where references differ, is no answer


def baselines(revision: Revision) -> list[str]:
    """The scores of a revision whose model is a simple one, in the order of params.yaml."""
    scores = (name for name in revision.artifacts if name.startswith("scores."))
    return [name for name in scores if Artifact(revision, name).kind in SIMPLE]


def standing(scores: Artifact, dataset: str, baseline: Artifact | None) -> Standing | None:
    """Of the scores on one test split; None if git has no predictions of it.

    baseline  scores of a simple model, if there are any
    """
    sample = scores.sample(dataset)
    if isinstance(sample, Unavailable):
        return None
    distances: list[Distance] = []
    of_texts = isinstance(sample.predictions, Answers)
    if isinstance(sample.predictions, Choices):
        baseline = None  # nothing simple chooses
    if not of_texts:
        distances += _distances(Majority(scores), scores, dataset, MAJORITY)
    if baseline is not None and baseline.name != scores.name:
        distances += _distances(baseline, scores, dataset, baseline.name)
    found = _of_texts if of_texts else _of_labels
    warnings = [
        *_of_choices(scores, dataset, sample),
        *found(scores.name, dataset, sample, distances),
        *_worse(scores.name, dataset, distances),
    ]
    examples = len(sample.predictions.id)
    return Standing(scores.name, dataset, examples, tuple(distances), tuple(warnings))


def _distances(other: Artifact, scores: Artifact, dataset: str, against: str) -> Iterator[Distance]:
    paired = ArtifactPair(other, scores).sample(dataset)
    if isinstance(paired, Unavailable):
        return
    answer = other.answer(dataset) if isinstance(other, Majority) else None
    for metric in OF_TEXTS if isinstance(paired.scale, TextScale) else METRICS:
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
    if not metric.of_answers:
        return paired.interval(metric, paired.difference(metric), CONFIDENCE)
    below, above = paired.margin(metric).at(LEVEL)
    return difference - below, difference + above


def _of_texts(name: str, dataset: str, sample: Sample, distances: list[Distance]) -> Iterator[str]:
    """Whether most answers are one and the same text."""
    size = len(sample.predictions.id)
    (_, most), (_, fair) = (
        Counter(column).most_common(1)[0]
        for column in (sample.predictions.predicted, sample.predictions.label)
    )
    if most > 1 and most >= ALIKE * size and fair < most / 2:
        share = f"{100 * most / size:.3g} %"
        yield f"{name} answers the same text to {share} of the prompts of {dataset}"


def _of_choices(scores: Artifact, dataset: str, sample: Sample) -> Iterator[str]:
    """Whether a guess among the choices may be right as often."""
    chance = scores.number((dataset, "chance"))
    if not isinstance(sample.predictions, Choices) or chance is None:
        return
    shown = []
    for name in (ACCURACY, PER_BYTE):
        metric = SplitMetric(name, None)
        value, below = sample.plain(metric)[0], sample.margin(metric).at(LEVEL)[0]
        if value - below > chance:
            return
        shown.append(f"{name.replace('_', ' ')} {value:.3f}")
    found = f"{', '.join(shown)}, and a guess {chance:.3f}"
    yield f"{scores.name} on {dataset} may choose no better than chance: {found}"


def _of_labels(name: str, dataset: str, sample: Sample, distances: list[Distance]) -> Iterator[str]:
    """What makes it no better than a constant answer."""
    answers = sample.predictions
    remarks = [
        *majority.remarks((name, dataset), sample.scale.labels, answers.label, answers.predicted)
    ]
    yield from remarks
    constant = [distance for distance in distances if distance.against == MAJORITY]
    if not any(map(is_shown, constant)) and not any(text.startswith(name) for text in remarks):
        answer = constant[0].answer if constant else None
        yield f"{name} on {dataset} may be no better than always {answer!r}: {in_words(constant)}"


def _worse(name: str, dataset: str, distances: list[Distance]) -> Iterator[str]:
    worse = [d for d in distances if d.answer is None and d.interval and d.interval[1] < 0]
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
    simple = [pairs[name].candidate for name in baselines(candidate)]
    for pair in pairs.values():
        scores = pair.candidate
        if pair.noun != "scores" or not scores.exists or scores.out_of_date is not None:
            continue
        metrics = scores.metrics if isinstance(scores.metrics, Mapping) else {}
        for dataset, values in metrics.items():
            if pair.same_predictions and not _looks_worthless(values):
                continue
            others = (other for other in simple if other.out_of_date is None)
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
