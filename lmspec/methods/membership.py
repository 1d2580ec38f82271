"""membership: how well a number tells texts that a model was trained on from others.

The larger the number, the more it looks like a train text. Sources: Yeom et al. 2018,
arXiv:1709.01604 (the loss as that number); Carlini et al. 2022, arXiv:2112.03570 (the share of
members that are found at a false positive rate of 1 %); Carlini et al. 2019, arXiv:1802.08232
(exposure).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmspec.methods.metrics import Floats
from lmspec.statistics.exact import clopper_pearson

FALSE_POSITIVES = 0.01
DRAWS = 1000
TAIL = 0.025


@dataclass(frozen=True)
class Side:
    """score: (n,) number of each text; group: what texts of one document have in common."""

    score: Floats
    group: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """low, high: ends of the 95 % interval, bootstrapped over the groups of each side.

    Where all draws of a share agree, as of few texts, they are at least as far as the exact ones:
    three train texts that all look newer than three others do not show that none is known.
    """

    value: float
    low: float
    high: float


def auc(members: Floats, others: Floats) -> float:
    """Probability that a member has a larger number than another text, in 0..1; 0.5 by chance."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left") + np.searchsorted(ordered, members, "right")
    return float(below.mean() / 2 / len(others))


def found(members: Floats, others: Floats) -> float:
    """Share of members above a threshold that at most 1 % of the others are above."""
    allowed = math.floor(FALSE_POSITIVES * len(others))
    threshold = np.sort(others)[len(others) - 1 - allowed]
    return float((members > threshold).mean())


def estimated(
    statistic: Callable[[Floats, Floats], float], members: Side, others: Side, seed: int
) -> Estimate:
    """A statistic of members and others with its interval."""
    draw = np.random.default_rng(seed)
    picks = [_groups(side.group) for side in (members, others)]
    values = []
    for _ in range(DRAWS):
        sides = [
            side.score[np.concatenate([rows[i] for i in draw.integers(0, len(rows), len(rows))])]
            for side, rows in zip((members, others), picks, strict=True)
        ]
        values.append(statistic(*sides))
    low, high = map(float, np.quantile(values, (TAIL, 1 - TAIL)))
    value = statistic(members.score, others.score)
    if statistic in SHARES and low == high:
        count = min(map(len, picks))
        ends = clopper_pearson(value * count, count, 1 - TAIL)
        low, high = min(low, ends[0]), max(high, ends[1])
    return Estimate(value, low, high)


SHARES = (auc, found)  # of which the extremes are 0 and 1


def _groups(names: Sequence[str]) -> list[list[int]]:
    """Positions of each group; a text of none is one by itself."""
    groups: dict[str | int, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name or i, []).append(i)
    return list(groups.values())


def exposures(planted: Floats, candidates: Floats) -> Floats:
    """(n,) bits: log2 of all places minus log2 of its rank among itself and the candidates.

    About 1.4 on average of canaries that are not remembered; log2(candidates + 1) of one that no
    candidate comes near.
    """
    ordered = np.sort(candidates)
    ranks = 1 + len(ordered) - np.searchsorted(ordered, planted, "left")
    return np.asarray(np.log2(len(ordered) + 1) - np.log2(ranks), np.float64)


def mean_exposure(planted: Floats, candidates: Floats, seed: int) -> Estimate:
    """Mean of the exposures, with its interval over both."""
    one, two = (Side(values, ("",) * len(values)) for values in (planted, candidates))
    return estimated(lambda own, others: float(exposures(own, others).mean()), one, two, seed)
