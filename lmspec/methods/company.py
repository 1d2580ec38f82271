"""company: how much a logit depends on the texts that are computed beside it."""

from collections.abc import Sequence

import numpy as np

from lmspec.methods.reading import Forward, Ids, collate, length_order, lengths, logits

TEXTS = 64  # each is computed alone, and in every batch
PROBES = 11  # number of its stream of draws
SIZES = (2, 8, 32)  # of batches


def probes(vocabulary: int, max_length: int) -> list[Ids]:
    """Random ids, of lengths from one to the longest that is read."""
    rng = np.random.default_rng([PROBES, vocabulary])
    lengths = np.linspace(1, max_length, TEXTS).astype(int)
    return [rng.integers(0, vocabulary, length) for length in rng.permutation(lengths)]


def batch_difference(forward: Forward, ids: Sequence[Ids], pad_id: int) -> float:
    """Largest absolute difference of a logit of a text that is computed alone, and among others.

    ids  of each text; 64 of them, evenly spaced, are computed in batches of 2, 8 and 32: of like
         lengths, as texts are batched for the least padding, and in their order, with the most
    0: the same bits in all of these. Infinite if one is no number.
    Raises ValueError if there are not two texts.
    """
    chosen = [ids[i] for i in np.linspace(0, len(ids) - 1, min(len(ids), TEXTS)).astype(int)]
    if len(chosen) < 2:
        raise ValueError("a text alone has no company")
    alone = logits(forward, chosen, pad_id, 1)  # (n, k)
    worst = 0.0
    for size in SIZES:
        in_order = [np.arange(i, min(i + size, len(chosen))) for i in range(0, len(chosen), size)]
        for rows in (*length_order(lengths(chosen), size), *in_order):
            batch = collate(chosen, rows, pad_id)
            beside = forward(batch.input_ids, batch.attention_mask)
            difference = float(np.abs(beside - alone[rows]).max())
            worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst
