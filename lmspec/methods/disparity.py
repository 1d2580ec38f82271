"""disparity: rates of answers and errors by group, and the largest gap between groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.methods import shares
from lmspec.methods.metrics import Floats
from lmspec.methods.shares import CONFIDENCE, Share

AT_ONCE = 200  # draws, whose weights are in memory together
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """n test texts.

    truth, answered  (n,) is the positive label the true one; is it the answer?
    right            (n,) is the answer the true label?
    documents        (n,) number of each text's document, from 0
    """

    truth: Bools
    answered: Bools
    right: Bools
    documents: NDArray[np.int64]

    def rates(self) -> dict[str, tuple[Bools, Bools]]:
        """Rate -> (n,) which texts it is of, and (n,) which of these count."""
        every = np.ones(len(self.truth), bool)
        return {
            "accuracy": (every, self.right),
            "positive_rate": (every, self.answered),
            "false_positive_rate": (~self.truth, self.answered),
            "false_negative_rate": (self.truth, ~self.answered),
        }


def measured(
    answers: Answers, groups: Mapping[str, Bools], draws: int, seed: int
) -> dict[str, Any]:
    """Rates of each group with exact intervals, and the largest gap of each rate between groups
    with its bootstrapped one; a share of nothing is None, and a gap is of the groups that have one.

    groups  name -> (n,) whether a text is in it
    """
    of: dict[str, dict[str, Any]] = {
        name: {"texts": int(members.sum())} for name, members in groups.items()
    }
    gap = {}
    for rate, (base, counts) in answers.rates().items():
        parts = {name: base & members for name, members in groups.items()}
        for name, part in parts.items():
            of[name][rate] = shares.share(counts[part], answers.documents[part])
        found = [of[name][rate] for name in groups]
        own = [(part, counts) for part in parts.values()]
        gap[rate] = _gap(answers.documents, own, found, draws, seed)
    return {"of": of, "gap": gap}


def _gap(
    documents: NDArray[np.int64],
    parts: Sequence[tuple[Bools, Bools]],
    found: Sequence[Share],
    draws: int,
    seed: int,
) -> Share:
    """The largest difference between shares of groups. Whole documents are drawn.

    Draws of a few texts without an error have none, of a few that are all wrong nothing else. The
    ends are no nearer than the largest ones of the exact intervals of pairs (Newcombe 1998,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873).
    """
    number = int(documents.max()) + 1
    # (documents, groups): texts that a rate is of, and those of them that count
    bases = np.stack([np.bincount(documents[base], minlength=number) for base, _ in parts], 1)
    hits = np.stack([np.bincount(documents[b & c], minlength=number) for b, c in parts], 1)
    present = bases.sum(0) > 0
    if present.sum() < 2:
        return {"share": None, "low": None, "high": None}
    bases, hits = bases[:, present], hits[:, present]
    value = float(_largest(hits.sum(0)[None], bases.sum(0)[None])[0])
    draw = np.random.default_rng([seed, number])
    drawn = np.concatenate(
        [
            _largest(weights @ hits, weights @ bases)
            for weights in (
                draw.multinomial(number, np.full(number, 1 / number), size=min(AT_ONCE, draws - i))
                for i in range(0, draws, AT_ONCE)
            )
        ]
    )
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # the largest of several is too large: that of the texts by about what that of draws is beyond
    # it, so draws by twice that. The upper end stays, on the safe side of a gate
    excess = float(drawn.mean()) - value
    least, most = _ends(found)
    low = max(0.0, min(float(low) - 2 * excess, value, least))
    return shares.rounded(value, low, min(1.0, max(float(high), most)))


def _ends(found: Sequence[Share]) -> tuple[float, float]:
    """The largest lower end of a difference between two of these shares, and the largest upper."""
    known = np.array([[*each.values()] for each in found if each["share"] is not None], float)
    share, low, high = known.T
    differences = share[:, None] - share[None]
    up = np.hypot((high - share)[:, None], (share - low)[None])
    down = np.hypot((share - low)[:, None], (high - share)[None])
    pairs = ~np.eye(len(share), dtype=bool)  # a group has no difference from itself
    return float((differences - down)[pairs].max()), float((differences + up)[pairs].max())


def _largest(hits: Any, bases: Any) -> Floats:
    """(draws, groups) counts -> the largest difference of shares in each draw that has texts of
    two groups."""
    enough = (bases > 0).sum(1) > 1
    hits, bases = hits[enough], bases[enough]
    shares = np.divide(hits, bases, out=np.full(hits.shape, np.nan), where=bases > 0)
    result: Floats = np.nanmax(shares, 1) - np.nanmin(shares, 1)
    return result
