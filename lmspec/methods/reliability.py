"""reliability: do raters say the same? Krippendorff's alpha, of numbers and of labels."""

import math

import numpy as np

from lmspec.methods.crowd import Ratings, per


def alpha(ratings: Ratings, nominal: bool) -> float:
    """Krippendorff's alpha: 1 if raters agree, 0 as by chance; nan where nothing can disagree.

    nominal  values are labels, any two of which differ alike; else numbers, by squared difference
    Texts with one rating say nothing.
    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    count = ratings.of_row
    paired = count[ratings.row] > 1
    row, value = ratings.row[paired], ratings.value[paired]
    total = len(value)
    if total == 0:
        return math.nan
    if nominal:
        columns = np.unique(value, return_inverse=True)[1]
        one_hot = np.eye(int(columns.max()) + 1)[columns]
    else:
        one_hot = (value - value.mean())[:, None]
    # twice the sum of squared differences of all pairs, of labels 1 for each that differs
    observed = sum(_within(row, column, count, ratings.rows) for column in one_hot.T)
    expected = sum(float(((column - column.mean()) ** 2).sum()) for column in one_hot.T)
    if expected == 0:
        return math.nan
    return 1 - (observed / total) / (expected / (total - 1))


def _within(
    row: np.ndarray[tuple[int], np.dtype[np.int64]],
    column: np.ndarray[tuple[int], np.dtype[np.float64]],
    count: np.ndarray[tuple[int], np.dtype[np.int64]],
    rows: int,
) -> float:
    """Sum over texts of count / (count - 1) times the squares about their mean."""
    sums, squares = per(row, column, rows), per(row, column**2, rows)
    several = count > 1
    about = squares[several] - sums[several] ** 2 / count[several]
    return float((about * count[several] / (count[several] - 1)).sum())
