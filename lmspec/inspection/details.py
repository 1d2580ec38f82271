"""details: one artifact: classes, confusion, calibration, where it fails, how it was trained."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lmspec.compare.artifact import EXAMINED, Artifact, leaves
from lmspec.compare.revision import Table, Unavailable, at
from lmspec.inspection import parts, prompts, suites, texts, traces
from lmspec.inspection.overview import Inspection, estimate, references
from lmspec.inspection.results import (
    Bin,
    ClassScore,
    Confused,
    Detail,
    Estimate,
    Mistake,
    NGram,
    OnDataset,
    Part,
    Score,
)
from lmspec.specs.results import ESTIMATES
from lmspec.statistics.arrays import Ints
from lmspec.statistics.paired import Sample
from lmspec.statistics.predictions import Predictions

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "expected_calibration_error")
LARGEST_MATRIX = 8  # labels; with more, the most confused pairs say it better
BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)  # of confidence: a few that people can read
CLASSES = 12  # with intervals, unless all are asked for
TRACED = "traced"
PAIRS, MISTAKES, QUARTERS = 12, 8, 4


def detail(inspected: Inspection, name: str, everything: bool = True) -> Detail:
    """One artifact: its results as far as they are in git, and what is lacking.

    everything  intervals of every class; else of those with the lowest F1: each takes 0.05 s
    """
    artifact = inspected.artifact(name)
    artifacts = inspected.revision.artifacts
    own = references(artifacts, name)
    metrics = {} if isinstance(artifact.metrics, Unavailable) else dict(_facts(artifact))
    problem = inspected.problem(name)
    return Detail(
        name,
        [other for other in artifacts if other in own],
        [other for other in artifacts if name in references(artifacts, other)],
        list(inspected.all_scores(name)),
        list(inspected.all_answers(name)),
        metrics,
        [_on_dataset(inspected, artifact, score, everything) for score in inspected.scores(name)]
        if artifact.noun == "scores"
        else [],
        [prompts.on_prompts(inspected, artifact, score) for score in inspected.written(name)]
        if artifact.noun == "scores"
        else [],
        list(suites.of_artifact(inspected, artifact)) if artifact.noun == EXAMINED else [],
        traces.of_artifact(inspected, artifact) if artifact.noun == TRACED else None,
        dict(_over_seeds(artifact)),
        len(at(artifact.metrics, ("seeds",)) or ()),
        _numbers(artifact.table("curve")),
        list(_ngrams(artifact.table("ngrams"))),
        [problem] if problem else [],
    )


def _facts(artifact: Artifact) -> Iterator[tuple[str, Any]]:
    metrics = artifact.metrics
    for path, value in leaves(metrics) if isinstance(metrics, Mapping) else ():
        yield ".".join(path), value


def _over_seeds(artifact: Artifact) -> Iterator[tuple[str, Estimate]]:
    """As its stage reported them: of Student's t."""
    means = at(artifact.metrics, ("over_seeds", "mean"))
    for name in means if isinstance(means, dict) else ():
        mean, low, high = (artifact.number(("over_seeds", part, name)) for part in ESTIMATES)
        if mean is not None and low is not None and high is not None:
            yield name, Estimate(mean, (low, high))


def _numbers(table: Table | None) -> dict[str, list[float]]:
    try:
        return {name: [float(cell) for cell in column] for name, column in (table or {}).items()}
    except ValueError:
        return {}


def _ngrams(table: Table | None) -> Iterator[NGram]:
    if table and {"label", "ngram", "weight"} <= table.keys():
        for label, ngram, weight in zip(
            table["label"], table["ngram"], table["weight"], strict=True
        ):
            try:
                yield NGram(label, ngram, float(weight))
            except ValueError:
                return


def _on_dataset(
    inspected: Inspection, artifact: Artifact, score: Score, everything: bool
) -> OnDataset:
    sample = artifact.sample(score.dataset)
    metrics = {name: estimate(artifact, (score.dataset, name)) for name in METRICS}
    rates = dict(_rates(at(artifact.metrics, (score.dataset,))))
    if isinstance(sample, Unavailable):
        return OnDataset(score, metrics, [], [], None, [], [], [], [], rates)
    labels = sample.scale.labels
    matrix = _matrix(sample, labels)
    folder = inspected.revision.tree.root / "data/splits" / score.dataset
    known = texts.by_id(folder / "test.parquet")
    return OnDataset(
        score,
        metrics,
        list(_classes(artifact, score.dataset, matrix, everything)),
        labels,
        matrix.tolist() if len(labels) <= LARGEST_MATRIX else None,
        list(_confused(matrix, labels)),
        list(_bins(sample)),
        [*parts.tables(sample), *_lengths(sample, known)],
        list(_mistakes(sample, known)),
        rates,
    )


def _rates(metrics: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Estimate]]:
    """Of answers that may be `unsure`, and of groups; a rate of no text is left out."""
    if not isinstance(metrics, Mapping):
        return
    ends = [metrics.get(name) for name in ("share", "low", "high")]
    numbers = [float(each) for each in ends if isinstance(each, int | float)]
    if len(numbers) == len(ends):
        value, low, high = numbers
        yield ".".join(path), Estimate(value, (low, high))
        return
    for name, own in metrics.items():
        yield from _rates(own, (*path, str(name)))


def _matrix(sample: Sample, labels: Sequence[str]) -> Ints:
    """(labels, labels) examples by true and predicted label."""
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    answers = sample.predictions
    for (label, predicted), count in Counter(
        zip(answers.label, answers.predicted, strict=True)
    ).items():
        counts[place[label], place[predicted]] = count
    return counts


def _classes(
    artifact: Artifact, dataset: str, matrix: Ints, everything: bool
) -> Iterator[ClassScore]:
    """By F1, the lowest first; labels without an example last."""
    sample = artifact.sample(dataset)
    assert isinstance(sample, Sample)
    right, true, answered = matrix.diagonal(), matrix.sum(1), matrix.sum(0)  # (labels,) each
    f1 = 2 * right / np.maximum(true + answered, 1)
    order = np.lexsort((np.arange(len(f1)), f1, true == 0))
    for rank, place in enumerate(order):
        label, count = sample.scale.labels[place], int(true[place])
        estimated: Estimate | None = None
        if count and (everything or rank < CLASSES):
            estimated = estimate(artifact, (dataset, "f1", label))
        elif count:
            estimated = Estimate(float(f1[place]), None, "not computed")
        yield ClassScore(
            label,
            count,
            estimated,
            int(right[place]) / int(answered[place]) if answered[place] else None,
            int(right[place]) / count if count else None,
        )


def _confused(matrix: Ints, labels: Sequence[str]) -> Iterator[Confused]:
    """The pairs that are confused most often."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    for label, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if count := int(wrong[label, predicted]):
            share = count / int(matrix[label].sum())
            yield Confused(labels[label], labels[predicted], count, share)


def _bins(sample: Sample) -> Iterator[Bin]:
    answers = sample.predictions
    assert isinstance(answers, Predictions)  # scores with labels have them
    confidence, right = answers.confidence, answers.right
    place = np.clip(np.searchsorted(BINS, confidence, "left") - 1, 0, len(BINS) - 2)
    for number in np.unique(place):
        here = place == number
        yield Bin(
            BINS[number],
            BINS[number + 1],
            int(here.sum()),
            float(confidence[here].mean()),
            float(right[here].mean()),
        )


def _lengths(sample: Sample, known: Mapping[str, str]) -> Iterator[Part]:
    """Quarters of the test split by length, where the texts are at hand."""
    ids = sample.predictions.id
    if not all(name in known for name in ids):
        return
    lengths = np.array([len(known[name]) for name in ids])
    limits = np.unique(np.quantile(lengths, np.arange(1, QUARTERS) / QUARTERS).astype(int))
    place = np.searchsorted(limits, lengths, "left")
    for number in np.unique(place):
        rows = np.flatnonzero(place == number)
        low, high = int(lengths[rows].min()), int(lengths[rows].max())
        yield parts.part("length", f"{low:,} to {high:,} characters", sample, rows)


def _mistakes(sample: Sample, known: Mapping[str, str]) -> Iterator[Mistake]:
    """The most confident ones."""
    answers = sample.predictions
    assert isinstance(answers, Predictions)
    wrong = np.flatnonzero(~answers.right)
    order = wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:MISTAKES]
    for i in order:
        yield Mistake(
            answers.id[i],
            answers.table[i],
            answers.label[i],
            answers.predicted[i],
            float(answers.confidence[i]),
            known.get(answers.id[i]),
        )
