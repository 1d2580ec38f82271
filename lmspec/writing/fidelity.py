"""fidelity: how far one decoder is from another of the same model, such as a graph in int8.

Rows are token ids (t,), with flags (t,) of those that are learned: an answer and its end.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.writing.generating import Decoder, Floats, Ids

Doubles = NDArray[np.float64]
Flags = NDArray[Any]  # 1 or 0
Z = 1.959964  # of a two-sided interval of 95 %
COMPANY, STEPS = 8, 4  # rows that take steps together, and how many
SHORTEST = 2  # tokens of a prompt


@dataclass(frozen=True)
class Lost:
    """What n rows lose from one decoder to the other.

    tokens      (n,) learned in each
    before      (n,) nats: minus the log probability of these, by the first
    after       (n,) by the second
    same        (n,) of how many both have the same most probable one
    difference  (n,) sum of absolute differences of the probability of the first's most probable one
    """

    tokens: Doubles
    before: Doubles
    after: Doubles
    same: Doubles
    difference: Doubles

    def metrics(self, groups: Sequence[str | None]) -> dict[str, float]:
        """Means over tokens. The interval of the loss takes rows of one group as one.

        groups  (n,) None: a row by itself
        Of the ratio of two sums: Cochran 1977, Sampling Techniques, chapter 6.
        """
        total = self.tokens.sum()
        increase = float((self.after - self.before).sum() / total)
        margin = self._margin(increase, groups)
        return {
            "disagreement_rate": float(1 - self.same.sum() / total),
            "mean_probability_difference": float(self.difference.sum() / total),
            "loss": float(self.before.sum() / total),
            "loss_increase": increase,
            "loss_increase_low": increase - margin,
            "loss_increase_high": increase + margin,
        }

    def _margin(self, ratio: float, groups: Sequence[str | None]) -> float:
        """Half the interval of 95 %; infinite with a single group."""
        names = [f"row {i}" if g is None else f"group {g}" for i, g in enumerate(groups)]
        _, of = np.unique(names, return_inverse=True)
        rest = np.bincount(of, self.after - self.before - ratio * self.tokens)
        count = len(rest)
        if count < 2:
            return math.inf
        return Z * math.sqrt(count / (count - 1) * float(rest @ rest)) / float(self.tokens.sum())


def lost(before: Decoder, after: Decoder, rows: Sequence[Ids], learned: Sequence[Flags]) -> Lost:
    """What rows lose. Both decoders read each row alone."""
    both = zip(rows, learned, before.logits(rows), after.logits(rows), strict=True)
    return Lost(*np.array([_lost(*row) for row in both], np.float64).T)


def _lost(
    ids: Ids, learned: Flags, one: Floats, two: Floats
) -> tuple[float, float, float, float, float]:
    places = np.flatnonzero(learned[1:])
    truth, at = ids[places + 1], np.arange(len(places))
    old, new = (log_probabilities(logits[places]) for logits in (one, two))
    top = old.argmax(-1)
    difference = np.abs(np.exp(old[at, top]) - np.exp(new[at, top]))
    return (
        len(places),
        -float(old[at, truth].sum()),
        -float(new[at, truth].sum()),
        float((top == new.argmax(-1)).sum()),
        float(difference.sum()),
    )


def log_probabilities(logits: Floats) -> Doubles:
    """(..., V) of logits."""
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    result: Doubles = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    return result


def prompts(
    rows: Iterable[Ids], learned: Iterable[Flags], is_plain: bool, longest: int
) -> list[Ids]:
    """What is before the first answer of each row; of plain text its first half.

    longest  tokens of those that are returned; the shortest, if there are none
    """
    found = []
    for ids, flags in zip(rows, learned, strict=True):
        end = len(ids) // 2 if is_plain else int(np.argmax(flags))
        found.append(ids[: max(SHORTEST, end)])
    return [ids for ids in found if len(ids) <= longest] or sorted(found, key=len)[:1]


def greedy(decoder: Decoder, asked: Sequence[Ids], end_id: int, new_tokens: int) -> list[list[int]]:
    """The most probable tokens after each prompt, up to the end, several prompts at a time."""
    written: list[list[int]] = []
    for start in range(0, len(asked), COMPANY):
        read = [decoder.prefill(ids) for ids in asked[start : start + COMPANY]]
        texts = [[int(logits.argmax())] for _, logits in read]
        pasts = {row: past for row, (past, _) in enumerate(read)}
        for _ in range(new_tokens - 1):
            rows = [row for row in pasts if texts[row][-1] != end_id]
            if not rows:
                break
            last = np.array([texts[row][-1] for row in rows], np.int64)
            new, logits = decoder.step([pasts[row] for row in rows], last)
            pasts = dict(zip(rows, new, strict=True))
            for row, values in zip(rows, logits, strict=True):
                texts[row].append(int(values.argmax()))
        written += texts
    return written


def prefix(one: Sequence[int], other: Sequence[int]) -> float:
    """Share of the first text before a token of the second is another."""
    return common(one, other) / len(one)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    first = next((place for place, (a, b) in pairs if a != b), None)
    return min(len(one), len(other)) if first is None else first


def batch_difference(decoder: Decoder, rows: Sequence[Ids]) -> float:
    """Largest difference of a logit of a row that takes steps alone, and among others.

    rows  the last tokens of each are the steps; shorter rows are left out
    """
    fitting = [ids for ids in rows if len(ids) > STEPS][:COMPANY]
    if len(fitting) < 2:
        raise ValueError("no two rows of more than four tokens")
    beside = _stepped(decoder, fitting)
    alone = [_stepped(decoder, [ids])[0] for ids in fitting]
    return float(max(np.abs(a - b).max() for a, b in zip(alone, beside, strict=True)))


def _stepped(decoder: Decoder, rows: Sequence[Ids]) -> list[Floats]:
    """Of each row the logits (STEPS, V) after its last tokens, which all read together."""
    pasts = [decoder.prefill(ids[:-STEPS])[0] for ids in rows]
    found: list[Floats] = []
    for step in range(-STEPS, 0):
        pasts, logits = decoder.step(pasts, np.array([ids[step] for ids in rows], np.int64))
        found.append(logits.copy())
    return list(np.stack(found, axis=1))
