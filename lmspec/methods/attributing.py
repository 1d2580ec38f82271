"""attributing: what each word of a text adds to the probability of its label, by asking again.

These methods know nothing of what is inside a model, so they explain graphs as they are served.
"""

import hashlib
import math
from collections.abc import Callable, Mapping

import numpy as np

from lmspec.methods.coalitions import Bools, Coalitions
from lmspec.methods.reading import Floats, Ids

ORDERS = 20  # number of its stream of draws
CONTROLS = 23  # number of its stream of draws
SHUFFLED = 24  # number of its stream of draws
Attribution = Callable[[Coalitions, int, str], Floats]  # text, label, id -> (n,)


def generator(seed: int, stream: int, name: str, number: int = 0) -> np.random.Generator:
    """Draws that depend on nothing else, so neither on other texts nor on their order.

    name  id of the text
    Source: Salmon et al. 2011, doi:10.1145/2063384.2063405 (Philox, counter-based).
    """
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    philox = np.random.Philox(key=np.array([seed, key], np.uint64), counter=[0, number, stream, 0])
    return np.random.Generator(philox)


def permuted(seed: int, number: int, size: int) -> Ids:
    """(size,) random order of the entries of a matrix. number: of the matrix"""
    return np.random.default_rng([seed, SHUFFLED, number]).permutation(size)


def occlusion(text: Coalitions, label: int, name: str = "") -> Floats:
    """(n,) how much probability the label loses without each word."""
    kept = np.vstack([np.ones(len(text.words), bool), ~np.eye(len(text.words), dtype=bool)])
    probability = text(kept)[:, label]
    found: Floats = probability[0] - probability[1:]
    return found


def shapley(permutations: int, exact_words: int, seed: int) -> Attribution:
    """Shapley values, exact for few words, else the mean over drawn orders of all words.

    Either way they sum to what all words change. Source: Shapley 1953; Castro et al. 2009.
    """

    def attribution(text: Coalitions, label: int, name: str) -> Floats:
        if len(text.words) <= exact_words:
            return exact_shapley(text, label)
        orders = np.stack(
            [
                generator(seed, ORDERS, name, number).permutation(len(text.words))
                for number in range(permutations)
            ]
        )  # (p, n)
        return _over_orders(text, label, orders)

    return attribution


def _over_orders(text: Coalitions, label: int, orders: Ids) -> Floats:
    """orders: (p, n) words in the order in which each draw adds them."""
    count, words = orders.shape
    rank = np.argsort(orders, axis=1)  # (p, n) when each word is added
    kept = rank[:, None, :] < np.arange(words + 1)[:, None]  # (p, n + 1, n)
    probability = text(kept.reshape(-1, words))[:, label].reshape(count, words + 1)
    gained = np.take_along_axis(np.diff(probability, axis=1), rank, 1)  # (p, n)
    found: Floats = gained.mean(0)
    return found


def exact_shapley(text: Coalitions, label: int) -> Floats:
    """(n,) the mean over all n! orders, from the 2^n choices of words."""
    words = len(text.words)
    choices = np.arange(2**words)
    kept: Bools = (choices[:, None] >> np.arange(words) & 1).astype(bool)
    probability = text(kept)[:, label]  # (2^n,)
    size = kept.sum(1)
    weights = np.array(
        [
            math.factorial(s) * math.factorial(words - s - 1) / math.factorial(words)
            for s in range(words)
        ]
    )
    found = np.empty(words)
    for word in range(words):
        without = choices[~kept[:, word]]
        gained = probability[without | 1 << word] - probability[without]
        found[word] = (weights[size[without]] * gained).sum()
    return found


def random(seed: int) -> Attribution:
    """Numbers that have nothing to do with the text."""
    return lambda text, label, name: control(seed, len(text.words), name)


def control(seed: int, words: int, name: str, number: int = 0) -> Floats:
    """(n,) random attributions. number: of the control"""
    return generator(seed, CONTROLS, name, number).standard_normal(words)


def ranked(attributions: Floats) -> Ids:
    """(n,) words by what they add, the most first; ties keep the order of the text."""
    return np.argsort(-attributions, kind="stable")


MODEL_FREE: Mapping[str, Callable[..., Attribution]] = {
    "occlusion": lambda method, seed: occlusion,
    "shapley": lambda method, seed: shapley(method.permutations, method.exact_words, seed),
    "random": lambda method, seed: random(seed),
}
