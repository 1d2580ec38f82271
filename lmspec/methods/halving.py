"""halving: how many trials go on at each rung of a search, and which.

Synchronous successive halving: all trials reach a rung before any goes on. So the cost is known
beforehand and the order of the trials decides nothing, unlike with optuna's pruner, which compares
a trial with those that happened to come before it.
Source: Jamieson & Talwalkar 2016, arXiv:1502.07943.
"""

import itertools
from collections.abc import Mapping, Sequence

from lmspec.methods.metrics import quality


def widths(trials: int, rungs: Sequence[float]) -> list[int]:
    """Number of trials that reach each rung: so many that each one costs at most what the first
    does.

    rungs  ascending numbers of epochs, the end included
    """
    counts = [trials]
    for before, after in itertools.pairwise(rungs):
        counts.append(max(1, int(counts[-1] * before / after)))
    return counts


def ranked(results: Mapping[int, Mapping[str, float]], metric: str) -> list[int]:
    """Numbers of trials, the best first; of equally good ones the first."""
    return sorted(sorted(results), key=lambda n: quality(results[n], metric), reverse=True)
