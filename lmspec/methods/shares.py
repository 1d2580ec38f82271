"""shares: a share of texts, with its exact interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmspec.statistics.arrays import Ints
from lmspec.statistics.exact import clopper_pearson, effective_size

CONFIDENCE = 0.95  # of intervals, two-sided
DIGITS = 6
Share = dict[str, float | None]


def documents(groups: Sequence[str | None]) -> Ints:
    """(n,) number of each text's document, from 0; a text without a group is its own."""
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(i if group is None else group, len(numbers))
            for i, group in enumerate(groups)
        ],
        np.int64,
    )


def share(hits: Any, own: Ints) -> Share:
    """Of n texts, and the interval for as many independent texts as tell as much; all None of none.

    hits  (n,) which of them count
    own   (n,) number of each text's document
    Source: Clopper & Pearson 1934, of the effective size.
    """
    if not len(hits):
        return dict.fromkeys(("share", "low", "high"))
    value, size = float(hits.mean()), effective_size(hits, own)
    low, high = clopper_pearson(value * size, size, (1 + CONFIDENCE) / 2)
    return rounded(value, low, high)


def rounded(value: float, low: float, high: float) -> Share:
    """To the digits of metrics."""
    ends = {"share": value, "low": low, "high": high}
    return {name: round(end, DIGITS) for name, end in ends.items()}
