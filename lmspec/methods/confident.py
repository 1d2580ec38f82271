"""confident: labels that are probably wrong, by probabilities from outside of the rows' folds.

Source: Northcutt, Jiang & Chuang 2021, Confident Learning, arXiv:1911.00068.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def thresholds(probabilities: Floats, truth: Ints) -> Floats:
    """(k,) mean probability of a label over the rows that have it; inf of one that none has.

    probabilities  (n, k), truth (n,) positions of the given labels
    """
    own = confidence(probabilities, truth)
    count = np.bincount(truth, minlength=probabilities.shape[1])
    total = np.bincount(truth, own, minlength=probabilities.shape[1])
    result: Floats = np.where(count > 0, total / np.maximum(count, 1), np.inf)
    return result


def confident(probabilities: Floats, truth: Ints) -> Ints:
    """(n,) the label that a row has with confidence: of those that reach their threshold, the most
    probable; -1 if none does."""
    reached = probabilities >= thresholds(probabilities, truth)
    best = np.where(reached, probabilities, -1.0).argmax(1)
    result: Ints = np.where(reached.any(1), best, -1)
    return result


def joint(probabilities: Floats, truth: Ints) -> Floats:
    """(k, k) share of the rows with each given label (row) and each true one (column).

    Counts of confident rows, scaled so that the given labels are as frequent as they are.
    """
    size = probabilities.shape[1]
    found = confident(probabilities, truth)
    counts = np.zeros((size, size))
    kept = found >= 0
    np.add.at(counts, (truth[kept], found[kept]), 1)
    given = np.bincount(truth, minlength=size)
    empty = counts.sum(1) == 0
    counts[empty, empty] = given[empty]  # of a label without any confident row nothing is known
    scaled = counts / np.maximum(counts.sum(1, keepdims=True), 1) * given[:, None]
    result: Floats = scaled / max(1, len(truth))
    return result


def confidence(probabilities: Floats, truth: Ints) -> Floats:
    """(n,) probability of the given label: the lower, the more suspect.

    Of six labels, 5 % of them turned, the first k rows by it have 73 % of those; by its margin over
    the most probable other label 58 %, less the label's threshold 61 % (bench/suspects.py).
    """
    result: Floats = probabilities[np.arange(len(truth)), truth]
    return result


def suggested(probabilities: Floats, truth: Ints) -> Ints:
    """(n,) the most probable label other than the given one."""
    others = probabilities.copy()
    others[np.arange(len(truth)), truth] = -1.0
    result: Ints = others.argmax(1)
    return result
