"""evidence: what a bundle tells of its scores: accuracies with intervals, and mistakes."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmspec.methods import shares

MOST_CHARACTERS = 2000  # of a text that is shown


class Row(NamedTuple):
    """A scored test text; group: None for one of its own."""

    dataset: str
    table: str
    group: str | None
    text: str
    label: str
    predicted: str
    confidence: float


def accuracies(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of each dataset, and of each of its tables where there are several; the exact interval.

    Source: Clopper & Pearson 1934, of the effective size where examples come in groups.
    """
    return [{"texts": name, "examples": len(part)} | _accuracy(part) for name, part in parts(rows)]


def parts(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """(name, texts) of each dataset, and of each of its tables where there are several."""
    for dataset in dict.fromkeys(row.dataset for row in rows):
        whole = [row for row in rows if row.dataset == dataset]
        yield dataset, whole
        tables = sorted({row.table for row in whole})
        if len(tables) > 1:
            for table in tables:
                yield f"{dataset}, {table}", [row for row in whole if row.table == table]


def _accuracy(rows: Sequence[Row]) -> dict[str, float | None]:
    found = share(rows, [row.label == row.predicted for row in rows])
    return {"accuracy": found.pop("share"), **found}


def share(rows: Sequence[Row], hits: Sequence[bool]) -> shares.Share:
    """Of these texts, with its interval. hits: which of them count"""
    return shares.share(np.array(hits), shares.documents([row.group for row in rows]))


def mistakes(rows: Sequence[Row], most: int) -> list[dict[str, Any]]:
    """Test texts with another label than the predicted one, those it was surest of first.

    Datasets take turns, so that a large one does not push out the others.
    """
    wrong = sorted((row for row in rows if row.label != row.predicted), key=_surest)
    turns: dict[str, int] = {}
    ranked = []
    for row in wrong:
        turns[row.dataset] = turn = turns.get(row.dataset, -1) + 1
        ranked.append((turn, row))
    ranked.sort(key=lambda one: (one[0], *_surest(one[1])))
    return [_shown(row) for _, row in ranked[:most]]


def _surest(row: Row) -> tuple[float, str, str]:
    return (-row.confidence, row.dataset, row.text)


def _shown(row: Row) -> dict[str, Any]:
    return {
        "dataset": row.dataset,
        "text": row.text[:MOST_CHARACTERS],
        "label": row.label,
        "predicted": row.predicted,
        "confidence": row.confidence,
    }
