"""querying: which rows to label next, by the probabilities of a classifier (active learning)."""

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
QUEUED = 31  # number of its stream of draws
AS_MANY = 10  # times the rows, by margin, of which clusters are made
SMALLEST = 1e-12  # its logarithm is finite
CLUSTERING_ROUNDS = 100
Strategy = Literal["margin", "entropy", "diverse", "random"]


def margins(probabilities: Floats) -> Floats:
    """(m,) probability of the most probable label less that of the next one.

    probabilities  (m, k), k at least 2
    """
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    result: Floats = two[:, 1] - two[:, 0]
    return result


def entropies(probabilities: Floats) -> Floats:
    """(m,) in nats."""
    result: Floats = -(probabilities * np.log(np.maximum(probabilities, SMALLEST))).sum(1)
    return result


def order(strategy: Strategy, probabilities: Floats, features: Any, n: int, seed: int) -> Ints:
    """Positions of n rows, or of all if there are fewer, the first to label first.

    probabilities  (m, k); features (m, f), dense or sparse, of which `diverse` makes clusters
    Source of margin and entropy: Settles 2009, Active Learning Literature Survey; of diverse:
    Zhdanov 2019, arXiv:1901.05954.
    """
    if strategy == "entropy":
        return np.argsort(-entropies(probabilities), kind="stable")[:n]
    unsure = margins(probabilities)
    first = np.argsort(unsure, kind="stable")
    if strategy == "margin" or len(first) <= n:
        return first[:n]
    return _diverse(features, unsure, first[: AS_MANY * n], n, seed)


def _diverse(features: Any, unsure: Floats, first: Ints, n: int, seed: int) -> Ints:
    """Of each cluster the row that is nearest to its centre; clusters weigh what is unsure more."""
    # here: they take half a second to import
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rows = features[first]
    if sparse.issparse(rows):  # scikit-learn takes no larger indices
        small = (rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32))
        rows = sparse.csr_array(small, shape=rows.shape)
    draw = np.random.default_rng([seed, QUEUED])
    state = int(draw.integers(2**31))
    means = KMeans(n, n_init=1, max_iter=CLUSTERING_ROUNDS, random_state=state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        means.fit(rows, sample_weight=1 - unsure[first] + SMALLEST)
    distance = means.transform(rows)[np.arange(len(first)), means.labels_]
    nearest = np.lexsort((np.arange(len(first)), distance))
    _, chosen = np.unique(means.labels_[nearest], return_index=True)
    kept = set(nearest[chosen].tolist())
    # a cluster may be empty, where rows are equal: the next by margin take its place
    rest = [i for i in range(len(first)) if i not in kept][: n - len(kept)]
    result: Ints = first[np.sort([*kept, *rest])]
    return result


def shuffled(rows: int, n: int, seed: int) -> Ints:
    """Positions of n of so many rows, or of all if there are fewer, in random order."""
    return np.random.default_rng([seed, QUEUED]).permutation(rows)[:n]
