"""concordance: how far two explanations of the same texts agree, word by word."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmspec.statistics.arrays import Floats, Ints
from lmspec.statistics.ranks import spearman


@dataclass(frozen=True)
class Attributed:
    """An explained text.

    cut           hash of where its words are
    predicted     the label that its attributions are of
    attributions  (n,) of its words
    """

    cut: str
    predicted: str
    attributions: Floats


def aligned(one: Attributed, other: Attributed, labels: int) -> Floats | None:
    """(n,) the other's attributions, of the label that the first one's are of; None if unknown.

    labels  of the model: of two, what speaks for one speaks as much against the other
    """
    if one.cut != other.cut:
        return None
    if one.predicted == other.predicted:
        return other.attributions
    return -other.attributions if labels == 2 else None


def correlations(
    ones: Mapping[str, Attributed], others: Mapping[str, Attributed], labels: int
) -> dict[str, float]:
    """Id -> rank correlation of the attributions of each text that both explain, in their order."""
    found = {}
    for name, one in ones.items():
        other = others.get(name)
        attributions = aligned(one, other, labels) if other is not None else None
        if attributions is not None:
            found[name] = spearman(one.attributions, attributions)
    return found


def cut(spans: tuple[tuple[int, int], ...]) -> str:
    """Hash of where the words of a text are: explanations of other words cannot be compared."""
    return hashlib.sha256(repr(spans).encode()).hexdigest()[:8]


def numbered(values: Sequence[str]) -> Ints:
    """(n,) a number for each different value."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)
