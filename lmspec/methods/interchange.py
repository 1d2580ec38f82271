"""interchange: how much of an answer comes with hidden states that are put into another text.

Source: Geiger et al. 2021, arXiv:2106.02997; Meng et al. 2022, arXiv:2202.05262 (there restored
from noise; here from a text that differs in one word).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmspec.methods.layered import Layered
from lmspec.methods.reading import Floats, Ids


class Unlike(ValueError):
    """Two texts that cannot be exchanged position by position."""


@dataclass(frozen=True)
class Asked:
    """A text with two possible answers, as a network reads it.

    sequences  token ids: the text, followed by what is read of each answer; one if these are alike
    length     tokens of the text
    log_odds   logits of each sequence, (b, k) or (b, t, V) -> (b,) nats: the first answer against
               the second
    """

    sequences: tuple[Ids, ...]
    length: int
    log_odds: Callable[[Sequence[Tensor]], Tensor]


def positions(one: Asked, other: Asked) -> dict[str, Ids]:
    """Where the texts differ, and what is around: each position of a sequence is in one of these.

    word    from the first to the last token that differs
    first   of the text; before: between it and the word
    last    of the text, with what is read of the answer; after: between the word and it
    Raises Unlike if the texts have different lengths, or do not differ.
    """
    if one.length != other.length:
        raise Unlike(f"they are read as {one.length} and {other.length} tokens")
    differ = np.flatnonzero(one.sequences[0][: one.length] != other.sequences[0][: one.length])
    if not len(differ):
        raise Unlike("they are read as the same tokens")
    start, end, length = int(differ[0]), int(differ[-1]) + 1, one.length
    longest = max(map(len, one.sequences))
    return {
        "first": np.arange(0, min(1, start)),
        "before": np.arange(1, max(1, start)),
        "word": np.arange(start, end),
        "after": np.arange(end, max(end, length - 1)),
        "last": np.arange(max(end, length - 1), longest),
    }


class Interchange:
    """States of one text in the place of those of another, layer by layer.

    batch_size  versions of the other text at a time
    log_odds    (of the one text, of the other)
    """

    def __init__(self, network: Layered, one: Asked, other: Asked, batch_size: int) -> None:
        self.network, self.other, self.batch_size = network, other, batch_size
        read = [[network.states(ids[None]) for ids in asked.sequences] for asked in (one, other)]
        self._states = [[states for _, states in each] for each in read]
        odds = (
            float(asked.log_odds([logits for logits, _ in each])[0])
            for asked, each in zip((one, other), read, strict=True)
        )
        self.log_odds = next(odds), next(odds)

    @property
    def difference(self) -> float:
        """Of the log odds of both texts, in nats."""
        return self.log_odds[0] - self.log_odds[1]

    def restored(self, layer: int, places: Sequence[Ids]) -> Floats:
        """(m,) share of the difference that comes with the states at some positions.

        layer   whose output is exchanged, or layered.EMBEDDINGS
        places  (m) sets of positions; those that a layer does not compute are left alone
        """
        each = {some.tobytes(): some for some in places}  # a word is often one position
        sets = list(each.values())
        parts = [
            self._asked(layer, sets[i : i + self.batch_size])
            for i in range(0, len(sets), self.batch_size)
        ]
        shares = (np.concatenate(parts) - self.log_odds[1]) / self.difference
        number = {key: i for i, key in enumerate(each)}
        found: Floats = shares[[number[some.tobytes()] for some in places]]
        return found

    def _asked(self, layer: int, places: Sequence[Ids]) -> Floats:
        """(m,) log odds."""
        logits = []
        for ids, ours, theirs in zip(self.other.sequences, *self._states, strict=True):
            source, own = ours[layer + 1], theirs[layer + 1]  # (1, t or 1, d)
            chosen = np.zeros((len(places), source.shape[1], 1), bool)
            for row, some in enumerate(places):
                chosen[row, some[some < source.shape[1]]] = True
            mixed = torch.where(torch.from_numpy(chosen).to(source.device), source, own)
            logits.append(self.network.onward(layer, mixed, np.repeat(ids[None], len(places), 0)))
        found: Floats = self.other.log_odds(logits).double().cpu().numpy()
        return found


def sets(named: Mapping[str, Ids], length: int) -> list[Ids]:
    """What is exchanged: nothing, everything, each named set, and each position of the text."""
    everything = np.sort(np.concatenate(list(named.values())))
    each = [np.array([place]) for place in range(length)]
    return [np.arange(0), everything, *named.values(), *each]
