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


def questions(attributions: Floats, control: Floats, fractions: Sequence[float]) -> Bools:
    """(m, n) all that is asked of a text to measure attributions beside a control: asked together,
    they take half the time."""
    order = attributing.ranked(attributions)
    own, others = (dropped(one, fractions) for one in (order, attributing.ranked(control)))
    return np.vstack([own, ~own, dropped(order, TENTHS), others, ~others])


def flipping(text: Coalitions, label: int, attributions: Floats) -> list[int]:
    """Words without which the answer is another, and none of which could stay; empty if unknown.

    The fewest first ones, among the MOST_FLIPPED of most weight, without those that need not go;
    unknown if neither any tenth of all words (as the curve has them) nor all of those suffice.
    A smaller set may exist.
    """
    order = attributing.ranked(attributions)
    found = [int(word) for word in order[: _first_that_flip(text, label, order)]]
    if len(found) > 1:  # asked together, which most of the following needs
        text(np.stack([text.without([w for w in found if w != word]) for word in found]))
    for word in reversed(found.copy()):
        fewer = [other for other in found if other != word]
        if fewer and _flips(text, label, text.without(fewer)[None])[0]:
            found = fewer
    return sorted(found)


def _first_that_flip(text: Coalitions, label: int, order: Ids) -> int:
    """How many words must go at least, from the first on, for another answer; 0 if unknown."""
    most = min(MOST_FLIPPED, len(order))
    tenths = (~dropped(order, TENTHS)).sum(1)
    known = sorted({most, *(int(size) for size in tenths if size <= most)})

    def first(sizes: Sequence[int]) -> int:
        if not sizes:
            return 0
        flips = _flips(text, label, np.stack([text.without(order[:size]) for size in sizes]))
        return sizes[int(flips.argmax())] if flips.any() else 0

    enough = first(known)
    below = max((size for size in known if size < enough), default=0)
    return first(range(below + 1, enough)) or enough


def _flips(text: Coalitions, label: int, kept: Bools) -> Bools:
    """(m,) is the most probable label another one?"""
    return np.asarray(text(kept).argmax(1) != label)
