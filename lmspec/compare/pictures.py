"""pictures: data of the plots: confusion, calibration, learning curves, size against accuracy.

Confusion, calibration and accuracy are of labels: texts have none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeGuard

import numpy as np

from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.report import (
    Bins,
    Calibration,
    Confusion,
    Curve,
    Matrix,
    Names,
    Numbers,
    Point,
)
from lmspec.compare.revision import Revision, Unavailable
from lmspec.statistics.paired import Sample
from lmspec.statistics.predictions import Predictions, Scale

BYTES_PER_PARAMETER = 4
MOST_LABELS = 50  # of a matrix; 1,000 labels would be a million cells


def confusion(pairs: Sequence[ArtifactPair]) -> Iterator[Confusion]:
    """Of each test split; without counts where there are too many labels."""
    for name, dataset, samples in _samples(pairs):
        known = [sample for sample in samples if is_of_labels(sample)]
        if known:
            labels = tuple(dict.fromkeys(name for sample in known for name in sample.scale.labels))
            few = len(labels) <= MOST_LABELS
            baseline, candidate = (
                _matrix(sample, labels) if is_of_labels(sample) and few else None
                for sample in samples
            )
            yield Confusion(name, dataset, labels, baseline, candidate)


def is_of_labels(sample: Sample | Unavailable) -> TypeGuard[Sample]:
    """Is it there, and are its answers labels?"""
    return isinstance(sample, Sample) and isinstance(sample.predictions, Predictions)


def _samples(
    pairs: Sequence[ArtifactPair],
) -> Iterator[tuple[str, str, list[Sample | Unavailable]]]:
    """(artifact, dataset, sample of each revision) of each test split that is scored."""
    for pair in pairs:
        for dataset in pair.candidate.predictions if pair.noun == "scores" else ():
            yield pair.name, dataset, [end.sample(dataset) for end in pair]


def _matrix(sample: Sample, labels: Names) -> Matrix:
    answers = sample.predictions
    count = Counter(zip(answers.label, answers.predicted, strict=True))
    return tuple(tuple(count[true, predicted] for predicted in labels) for true in labels)


def calibration(pairs: Sequence[ArtifactPair]) -> Iterator[Calibration]:
    """Of each test split of which both revisions have predictions."""
    for name, dataset, (baseline, candidate) in _samples(pairs):
        if is_of_labels(baseline) and is_of_labels(candidate):
            yield Calibration(name, dataset, _bins(baseline), _bins(candidate))


def _bins(sample: Sample) -> Bins:
    """(mean confidence, accuracy, examples) of each bin that is not empty."""
    answers, scale = sample.predictions, sample.scale
    assert isinstance(answers, Predictions) and isinstance(scale, Scale)  # `is_of_labels`
    confidence, right, bins = answers.confidence, answers.right, scale.bins  # (n,) two of them
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return tuple(
        (float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for here in (place == i for i in np.unique(place))
    )


def curves(pairs: Sequence[ArtifactPair]) -> Iterator[Curve]:
    """Of each training."""
    for pair in pairs:
        baseline, candidate = (_numbers(end.table("curve")) for end in pair)
        if baseline or candidate:
            yield Curve(pair.name, baseline, candidate)


def _numbers(table: Mapping[str, Sequence[str]] | None) -> dict[str, Numbers]:
    try:
        return {name: tuple(map(float, column)) for name, column in (table or {}).items()}
    except ValueError:
        return {}


def front(evidence: Evidence) -> Iterator[Point]:
    """Size and accuracy of all that is scored, in both revisions."""
    ends: tuple[tuple[Literal["baseline", "candidate"], Revision], ...] = (
        ("baseline", evidence.baseline),
        ("candidate", evidence.candidate),
    )
    for end, revision in ends:
        for name, spec in revision.artifacts.items():
            if name.startswith("scores."):
                size = bytes_of(Artifact(revision, str(spec.get("of"))))
                metrics = revision.metrics(name)
                for dataset in metrics if isinstance(metrics, Mapping) and size else ():
                    accuracy = revision.number(name, (dataset, "accuracy"))
                    if accuracy is not None:
                        yield Point(name, str(dataset), end, size, accuracy)


def bytes_of(artifact: Artifact) -> int:
    """Of a graph its file; of a model its weights in fp32."""
    if not artifact.exists:
        return 0
    size, parameters = (artifact.number((name,)) for name in ("bytes", "parameters"))
    return int(size if size is not None else (parameters or 0) * BYTES_PER_PARAMETER)
