"""sureness: which rows of a pool get the label that a model gives them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmspec.methods.metrics import Floats
from lmspec.methods.reading import Ids


@dataclass(frozen=True)
class Taken:
    """Rows of a pool and their labels.

    rows        (m,) positions in the pool, ascending
    labels      (m,) positions of the labels that the model gives them
    confidence  (m,) their probabilities
    """

    rows: Ids
    labels: Ids
    confidence: Floats

    def is_as(self, other: "Taken | None") -> bool:
        """Has the other the same rows with the same labels?"""
        return (
            other is not None
            and np.array_equal(self.rows, other.rows)
            and np.array_equal(self.labels, other.labels)
        )


def taken(probability: Floats, confidence: float, per_label: int) -> Taken:
    """The surest rows of each label, those that reach the confidence; of equal ones the first.

    probability  (n, k)
    per_label    at most that many of each label
    """
    label, own = probability.argmax(1), probability.max(1)
    rows: list[int] = []
    for position in range(probability.shape[1]):
        sure = np.flatnonzero((label == position) & (own >= confidence))
        rows += sure[np.argsort(-own[sure], kind="stable")][:per_label].tolist()
    chosen = np.asarray(sorted(rows), np.int64)
    return Taken(chosen, label[chosen], own[chosen])


def by_label(found: Taken, truth: Ids | None, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each label: how many rows were taken, how surely, and how many are right.

    truth  (n,) positions of the pool's own labels, -1 where a row has none of the model's; None of
           a pool without labels
    """
    for position, label in enumerate(labels):
        own = found.labels == position
        row: dict[str, Any] = {"label": label, "rows": int(own.sum())}
        row["mean_confidence"] = float(found.confidence[own].mean()) if own.any() else None
        yield row | {"agreement": agreement(found, truth, own)}


def agreement(found: Taken, truth: Ids | None, among: Ids | None = None) -> float | None:
    """Share of the rows whose own label is the one that they were given; None of no such rows.

    among  (m,) which rows are counted; all without it
    """
    if truth is None:
        return None
    own = truth[found.rows]
    counted = own >= 0 if among is None else (own >= 0) & (among > 0)
    return float((own == found.labels)[counted].mean()) if counted.any() else None
