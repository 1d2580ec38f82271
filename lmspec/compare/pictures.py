"""pictures: what the plots of a report are drawn from: confusion, calibration, learning curves, size against accuracy."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from lmspec.compare.evidence import Evidence
from lmspec.compare.report import Calibration, Confusion, Curve, Point
from lmspec.compare.revision import Revision, number
from lmspec.statistics.paired import Alone

BYTES_PER_PARAMETER = 4
MOST_LABELS = 50  # of a matrix: 1,000 would be a million cells
Matrix = tuple[tuple[int, ...], ...]


def confusion(evidence: Evidence, artifacts: Sequence[str]) -> Iterator[Confusion]:
    """Of each test split of the scores artifacts that changed; without counts where there are too many labels."""
    for name in artifacts:
        for dataset in _splits(evidence, name):
            sides = [evidence.alone(side, name, dataset) for side in ("old", "new")]
            known = [side for side in sides if isinstance(side, Alone)]
            if known:
                labels = tuple(
                    dict.fromkeys(label for side in known for label in side.scale.labels)
                )
                few = len(labels) <= MOST_LABELS
                old, new = (
                    _matrix(side, labels) if isinstance(side, Alone) and few else None
                    for side in sides
                )
                yield Confusion(name, dataset, labels, old, new)


def _splits(evidence: Evidence, name: str) -> list[str]:
    return list(evidence.predictions("new", name) or {}) if name.startswith("scores.") else []


def _matrix(side: Alone, labels: tuple[str, ...]) -> Matrix:
    count = Counter(zip(side.side.label, side.side.predicted, strict=True))
    return tuple(tuple(count[true, predicted] for predicted in labels) for true in labels)


def calibration(evidence: Evidence, artifacts: Sequence[str]) -> Iterator[Calibration]:
    """Of each test split that both sides have predictions of."""
    for name in artifacts:
        for dataset in _splits(evidence, name):
            sides = [evidence.alone(side, name, dataset) for side in ("old", "new")]
            if isinstance(sides[0], Alone) and isinstance(sides[1], Alone):
                yield Calibration(name, dataset, _bins(sides[0]), _bins(sides[1]))


def _bins(side: Alone) -> tuple[tuple[float, float, int], ...]:
    confidence, right = side.side.confidence, side.side.right
    place = np.minimum((confidence * side.scale.bins).astype(np.int64), side.scale.bins - 1)
    return tuple(
        (
            float(confidence[place == i].mean()),
            float(right[place == i].mean()),
            int((place == i).sum()),
        )
        for i in np.unique(place)
    )


def curves(evidence: Evidence, artifacts: Sequence[str]) -> Iterator[Curve]:
    """Of each training that changed."""
    for name in artifacts:
        tables = (
            evidence.old.table(evidence.name("old", name), "curve"),
            evidence.new.table(name, "curve"),
        )
        old, new = (_numbers(table) for table in tables)
        if old or new:
            yield Curve(name, old, new)


def _numbers(table: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[float, ...]]:
    try:
        return {
            name: tuple(float(value) for value in column) for name, column in (table or {}).items()
        }
    except ValueError:
        return {}


def front(evidence: Evidence) -> Iterator[Point]:
    """Size and accuracy of everything that is scored, on both sides."""
    sides: tuple[tuple[Literal["baseline", "candidate"], Revision], ...] = (
        ("baseline", evidence.old),
        ("candidate", evidence.new),
    )
    for side, revision in sides:
        for name, spec in revision.artifacts.items():
            if name.startswith("scores."):
                size = _bytes(revision, str(spec.get("of")))
                values = revision.metrics(name)
                for dataset, found in values.items() if isinstance(values, Mapping) else ():
                    accuracy = number(found.get("accuracy")) if isinstance(found, Mapping) else None
                    if size and accuracy is not None:
                        yield Point(name, str(dataset), side, size, accuracy)


def _bytes(revision: Revision, name: str) -> int:
    """Of a graph its file; of a model its weights in fp32."""
    values = revision.metrics(name) if name in revision.artifacts else None
    if not isinstance(values, Mapping):
        return 0
    size, parameters = number(values.get("bytes")), number(values.get("parameters"))
    return int(size if size is not None else (parameters or 0) * BYTES_PER_PARAMETER)
