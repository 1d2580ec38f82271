"""sampling: logits -> the next token: the most probable one, or one that is drawn.

A bundle has a copy of this file, so it imports nothing of lmspec.

Penalties, constraint, temperature, top_k, top_p and min_p apply in this order, each to what the one
before leaves, as in transformers; all in float64. Among equal logits the lower id comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
FEW = 256, 4096  # tokens: `top_p` rarely leaves more, and to sort all 49,152 takes 4 ms
WORD = 2**64


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. What is None has no effect.

    temperature  divides the logits; more than 0
    top_p        the most probable tokens, until they have this much probability together
    top_k        this many of the most probable tokens
    min_p        tokens with at least this share of the probability of the most probable one
    seed         of the draws
    Raises ValueError.
    """

    temperature: float = 1.0
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature is more than 0, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is at least 1, not {self.top_k}")
        for name, share in (("top_p", self.top_p), ("min_p", self.min_p)):
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name} is more than 0 and at most 1, not {share}")
        if not 0 <= self.seed < WORD:
            raise ValueError(f"seed is at least 0 and below 2**64, not {self.seed}")


def draw(seed: int, key: int, position: int) -> float:
    """A number in [0, 1) that depends on nothing else, so neither on what was drawn before.

    position  of the token in its text
    Philox is a function of key and counter (Salmon et al. 2011, doi:10.1145/2063384.2063405).
    """
    philox = np.random.Philox(key=np.array([seed, key], np.uint64), counter=[position, 0, 0, 0])
    return (int(philox.random_raw()) >> 11) / 2**53  # all of 64 bits could round to 1.0


def adjusted(
    logits: Floats,
    seen: Bools | None,
    penalty: float | None,
    allowed: Bools | None,
    ends: Sequence[int] = (),
    end_penalty: float = 0.0,
) -> Doubles:
    """Logits (V,) -> scores (V,), -inf for what is not allowed.

    seen     (V,) tokens of prompt and text so far
    penalty  of those: positive logits are divided by it, others multiplied; None: there is none
    allowed  (V,) tokens that a constraint allows; None: there is none
    ends     tokens that end the text: their logits are lowered by `end_penalty`
    Sources of the penalties: Keskar et al. 2019, arXiv:1909.05858; Murray & Chiang 2018,
    arXiv:1808.10006, whose reward for each token of a text is a penalty for its end.
    """
    scores = logits.astype(np.float64)
    if penalty is not None and seen is not None:
        scores[seen] = np.where(scores[seen] > 0, scores[seen] / penalty, scores[seen] * penalty)
    scores[list(ends)] -= end_penalty
    if allowed is not None:
        scores[~allowed] = -np.inf
    return scores


def chosen(scores: Floats, sampling: Sampling | None, number: float) -> int:
    """The next token by its score (V,): the most probable one, or, by `number` in [0, 1), one of
    those that sampling leaves, with its share of their probability."""
    if sampling is None:
        return int(np.argmax(scores))
    scaled = (scores.astype(np.float64) - scores.max()) / sampling.temperature
    powers = np.exp(scaled)  # of the most probable token: 1
    kept = _kept(powers, sampling)
    # In the order of ids: were it that of probability, two tokens with nearly the same one would
    # change places, and so the text, with the last bit of a logit.
    sums = np.cumsum(powers[kept])
    place = int(np.searchsorted(sums, number * sums[-1], side="right"))
    return int(kept[min(place, len(kept) - 1)])


def _kept(powers: Doubles, sampling: Sampling) -> Ids:
    """The tokens that may be drawn, ascending. Without any filter all that are possible."""
    kept = np.flatnonzero(powers)
    if sampling.top_k is not None:
        kept = np.sort(kept[_largest(powers[kept], sampling.top_k)[: sampling.top_k]])
    if sampling.top_p is not None and sampling.top_p < 1:
        kept = np.sort(kept[_nucleus(powers[kept], sampling.top_p)])
    if sampling.min_p is not None:
        kept = kept[powers[kept] >= sampling.min_p]
    return kept


def _nucleus(powers: Doubles, top_p: float) -> Ids:
    """Places of the largest, each of which has less than `top_p` of the sum before it."""
    enough = top_p * powers.sum()
    for count in (*FEW, len(powers)):
        order = _largest(powers, count)
        inside = np.cumsum(powers[order][:-1]) < enough
        inside = np.concatenate([[True], inside])
        if not inside.all() or len(order) == len(powers):
            break
    result: Ids = order[inside]
    return result


def _largest(powers: Doubles, count: int) -> Ids:
    """Places of the `count` largest, descending, then of all that equal the last of them; of equal
    ones the first comes first."""
    places = np.arange(len(powers))
    if count < len(powers):
        border = np.partition(powers, len(powers) - count)[len(powers) - count]
        places = np.flatnonzero(powers >= border)
    order: Ids = places[np.argsort(-powers[places], kind="stable")]
    return order


def log_probability(logits: Floats, token: int) -> float:
    """Of a token by the model's logits (V,): at most 0. Raises ValueError if those are NaN."""
    values = logits.astype(np.float64)
    most = values.max()
    result = float(values[token] - most - np.log(np.exp(values - most).sum()))
    if not np.isfinite(result):
        raise ValueError("the model gives no numbers: its logits are infinite, or NaN")
    return result
