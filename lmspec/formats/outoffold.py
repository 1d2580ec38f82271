"""outoffold: the answers to rows by models that have not seen them, as `folds` writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec.formats import documents

ROWS: dict[str, Any] = {"id": pl.String, "fold": pl.Int64, "probabilities": pl.List(pl.Float64)}


@dataclass(frozen=True)
class OutOfFold:
    """n rows, ordered by id.

    fold           (n,) the number of each, from 0
    probabilities  (n, labels)
    coverage       how much of the texts was read: see methods/coverage.py
    """

    ids: tuple[str, ...]
    fold: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    labels: tuple[str, ...]
    coverage: Mapping[str, Any]


def write(answers: OutOfFold, out: Path) -> None:
    """Write rows.parquet, labels.json and coverage.json."""
    columns = answers.ids, answers.fold, answers.probabilities.tolist()
    frame = pl.DataFrame(dict(zip(ROWS, columns, strict=True)), schema=ROWS)
    documents.write(frame, out / "rows.parquet")
    documents.write_labels(answers.labels, out)
    (out / "coverage.json").write_text(json.dumps(dict(answers.coverage)) + "\n", encoding="utf-8")


def read(folder: Path) -> OutOfFold:
    """Read what `write` wrote."""
    frame = documents.read(folder / "rows.parquet")
    coverage = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))
    return OutOfFold(
        tuple(frame["id"]),
        frame["fold"].to_numpy(),
        np.asarray(frame["probabilities"].to_list(), np.float64),
        tuple(documents.read_labels(folder)),
        coverage,
    )
