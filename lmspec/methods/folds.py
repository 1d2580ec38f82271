"""folds: every row judged by a classifier that was fitted to other rows."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDS = 30  # number of its stream of draws
MAX_ITERATIONS = 1000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def assigned(units: Sequence[Sequence[int]], truth: Ints, folds: int, seed: int) -> Ints:
    """(n,) fold of each row: labels are in proportion, and the rows of a unit in one fold.

    units  positions that stay together; each position is in exactly one
    truth  (n,) positions of the labels
    """
    result = np.zeros(len(truth), np.int64)
    counts = np.zeros((folds, int(truth.max(initial=0)) + 1), np.int64)
    order = np.random.default_rng([seed, FOLDS]).permutation(len(units))
    for number in sorted(order.tolist(), key=lambda unit: -len(units[unit])):
        rows = list(units[number])
        own = np.unique(truth[rows])
        # the fold with the fewest rows of these labels, of equal ones the one with the fewest rows
        fold = min(range(folds), key=lambda k: (counts[k, own].sum(), counts[k].sum()))
        np.add.at(counts[fold], truth[rows], 1)
        result[rows] = fold
    return result


def out_of_fold(
    features: Any, truth: Ints, fold: Ints, labels: int, inverse_regularization: float
) -> Floats:
    """(n, labels) probabilities of each row, by a logistic regression on the other folds.

    features  (n, f), dense or sparse rows
    A label that the other folds lack has probability 0.
    """
    result = np.zeros((len(truth), labels))
    for rows in _parts(fold):
        others = np.setdiff1d(np.arange(len(truth)), rows)
        result[rows] = fitted(features[others], truth[others], inverse_regularization, labels)(
            features[rows]
        )
    return result


def _parts(fold: Ints) -> Iterator[Ints]:
    for number in np.unique(fold):
        yield np.flatnonzero(fold == number)


def fitted(features: Any, truth: Ints, inverse_regularization: float, labels: int) -> Any:
    """A logistic regression: features (m, f) -> (m, labels) probabilities."""
    # here: it takes half a second to import
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(truth)
    if len(present) == 1:
        return lambda rows: np.eye(labels)[np.full(rows.shape[0], present[0])]
    solver = LogisticRegression(C=inverse_regularization, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(features, truth)

    def probabilities(rows: Any) -> Floats:
        every = np.zeros((rows.shape[0], labels))
        every[:, present] = solver.predict_proba(rows)
        return every

    return probabilities
