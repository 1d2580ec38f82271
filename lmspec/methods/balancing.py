"""balancing: how much each training text counts in the loss, by its label and its group."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec.methods import mentioning
from lmspec.methods.encoding import balanced
from lmspec.methods.reading import Ids
from lmspec.specs.balance import Balance, OfTerms
from lmspec.specs.training import (
    AnyTraining,
    Contrastive,
    GradientDescent,
    LogisticRegression,
    Untrained,
)

Floats = NDArray[np.float64]


def columns(recipe: AnyTraining) -> tuple[str, ...]:
    """What is read of the training texts, beside their labels, to weigh them."""
    if isinstance(recipe, Untrained | Contrastive) or recipe.balance is None:
        return ()
    by = recipe.balance.by
    return ("text",) if isinstance(by, OfTerms) else (by.column,)


def of_texts(
    recipe: GradientDescent | LogisticRegression, truth: Ids, documents: pl.DataFrame
) -> Floats | None:
    """(n,) how much each text counts, on average 1; None if all count the same.

    truth      (n,) positions of the labels
    documents  n rows, with `columns(recipe)`
    """
    if recipe.balance is not None:
        return weights(pairs(truth, groups(recipe.balance, documents)), recipe.balance.power)
    return balanced(truth) if recipe.class_weights == "balanced" else None


def groups(balance: Balance, documents: pl.DataFrame) -> Sequence[Hashable]:
    """(n,) the group of each text."""
    if not isinstance(balance.by, OfTerms):
        return documents[balance.by.column].to_list()
    texts = documents["text"].to_list()
    found = [mentioning.mentions(texts, words) for words in balance.by.terms]
    return [tuple(row) for row in np.stack(found, 1).tolist()]


def pairs(truth: Ids, groups: Sequence[Hashable]) -> Ids:
    """(n,) number of each text's pair of group and label, from 0 in the order of the texts."""
    numbers: dict[Hashable, int] = {}
    both = zip(truth.tolist(), groups, strict=True)
    return np.array([numbers.setdefault(pair, len(numbers)) for pair in both], np.int64)


def weights(pair: Ids, power: float) -> Floats:
    """(n,) (texts / (pairs * texts of the same pair)) ** power, over its mean."""
    raised = balanced(pair) ** power
    found: Floats = raised / raised.mean()
    return found


def described(
    recipe: GradientDescent | LogisticRegression, truth: Ids, documents: pl.DataFrame
) -> Iterator[str]:
    """A line for people, if texts are balanced."""
    if recipe.balance is not None:
        pair = pairs(truth, groups(recipe.balance, documents))
        counts, weight = np.bincount(pair), weights(pair, recipe.balance.power)
        yield (
            f"balance: {len(counts)} pairs of group and label, of {counts.min():,} to"
            f" {counts.max():,} texts, each of which counts {weight.max():.2g} to"
            f" {weight.min():.2g}"
        )
