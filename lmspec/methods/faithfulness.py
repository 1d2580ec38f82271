"""faithfulness: do the words that an explanation names decide the answer? Measured by asking again.

Source: DeYoung et al. 2020, arXiv:1911.03429 (comprehensiveness, sufficiency); Samek et al. 2017,
arXiv:1509.06321 (area over the perturbation curve).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmspec.methods import attributing
from lmspec.methods.coalitions import Bools, Coalitions
from lmspec.methods.reading import Floats, Ids

TENTHS = tuple(i / 10 for i in range(1, 11))
MOST_FLIPPED = 10  # words that are taken away in search of another answer
TRIED = 3  # numbers of words of which this is asked together


@dataclass(frozen=True)
class Faithfulness:
    """Changes of the probability of a label; all are means over some numbers of words.

    comprehensiveness  what it loses without the words of most weight
    sufficiency        what it loses if these alone are kept
    """

    comprehensiveness: float
    sufficiency: float


def measured(
    text: Coalitions, label: int, attributions: Floats, fractions: Sequence[float]
) -> Faithfulness:
    """How faithful the attributions of a text are. fractions: of its words"""
    without = dropped(attributing.ranked(attributions), fractions)
    lost = text.whole[label] - text(np.vstack([without, ~without]))[:, label]
    first, second = np.split(lost, 2)
    return Faithfulness(float(first.mean()), float(second.mean()))


def area(text: Coalitions, label: int, attributions: Floats) -> float:
    """What the probability loses as words are taken away by tenths, those of most weight first."""
    curve = dropped(attributing.ranked(attributions), TENTHS)
    return float((text.whole[label] - text(curve)[:, label]).mean())


def dropped(order: Ids, fractions: Sequence[float]) -> Bools:
    """(f, n) which words are kept without a share of them, in that order; at least one is dropped.

    A share is rounded up.
    """
    rank = np.argsort(order)  # (n,) of each word
    counts = [max(1, math.ceil(round(share * len(order), 9))) for share in fractions]
    return np.asarray(rank >= np.array(counts)[:, None])


def completeness_delta(text: Coalitions, label: int, attributions: Floats) -> float:
    """How far the attributions are from summing to what all words change; at least 0."""
    nothing = np.zeros((1, len(attributions)), bool)
    change = text.whole[label] - text(nothing)[0, label]
    return abs(float(attributions.sum() - change))


def flipping(text: Coalitions, label: int, attributions: Floats) -> list[int]:
    """Words without which the answer is another, and none of which could stay; empty if unknown.

    Among the MOST_FLIPPED words of most weight: a single one if it suffices; else the first of them
    that do, without those that need not go. A smaller set may exist.
    """
    order = attributing.ranked(attributions)[:MOST_FLIPPED]
    singly = np.stack([text.without([word]) for word in order])
    alone = _flips(text, label, singly)
    if alone.any():
        left = text(singly)[:, label]
        return [int(order[alone][left[alone].argmin()])]
    found = _first_that_flip(text, label, order)
    for word in reversed(found.copy()):
        fewer = [other for other in found if other != word]
        if fewer and _flips(text, label, text.without(fewer)[None])[0]:
            found = fewer
    return sorted(found)


def _first_that_flip(text: Coalitions, label: int, order: Ids) -> list[int]:
    """The fewest first words without which the answer is another; empty if all are too few."""
    for start in range(0, len(order), TRIED):  # most texts need few words, so the rest is not asked
        ends = range(start + 1, min(start + TRIED, len(order)) + 1)
        flips = _flips(text, label, np.stack([text.without(order[:end]) for end in ends]))
        if flips.any():
            return [int(word) for word in order[: ends[int(flips.argmax())]]]
    return []


def _flips(text: Coalitions, label: int, kept: Bools) -> Bools:
    """(m,) is the most probable label another one?"""
    return np.asarray(text(kept).argmax(1) != label)
