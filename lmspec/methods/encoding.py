"""encoding: texts -> token ids -> padded batches, in an order that depends only on a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ids = NDArray[np.int64]
# Rows of this many batches are sorted by length before they are cut. On 9,292 movie reviews in
# batches of 16, 2.3 % of the tokens are padding then; 46 % without, 0.2 % if all are sorted.
BUCKET_BATCHES = 50
ORDER = 1  # number of its stream of draws


@dataclass(frozen=True)
class Batch:
    """rows (b,) positions in the data; input_ids, attention_mask (b, t), padded on the right."""

    rows: Ids
    input_ids: Ids
    attention_mask: Ids


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Token ids of each text with special tokens, truncated to the tokenizer's length."""
    return [np.asarray(e.ids, np.int64) for e in tokenizer.encode_batch(list(texts))]


def collate(ids: Sequence[Ids], rows: Sequence[int] | Ids, pad_id: int) -> Batch:
    """Rows as one batch, padded to the longest of them."""
    length = max(1, *(len(ids[i]) for i in rows))
    input_ids = np.full((len(rows), length), pad_id, np.int64)  # (b, t)
    attention_mask = np.zeros((len(rows), length), np.int64)
    for j, i in enumerate(rows):
        input_ids[j, : len(ids[i])] = ids[i]
        attention_mask[j, : len(ids[i])] = 1
    return Batch(np.asarray(rows, np.int64), input_ids, attention_mask)


def training_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[Ids]:
    """Rows of each batch of an epoch: shuffled, bucketed by length, then batches shuffled again.

    A function of its arguments alone, so that a run which resumes anywhere sees the same order.
    """
    rng = np.random.default_rng([seed, ORDER, epoch])
    rows = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(rows), batch_size * BUCKET_BATCHES):
        bucket = rows[start : start + batch_size * BUCKET_BATCHES]
        bucket = bucket[np.argsort([lengths[i] for i in bucket], kind="stable")]
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def length_order(lengths: Sequence[int], batch_size: int) -> list[Ids]:
    """Rows of each batch, from short to long, for the least padding; ties keep their order."""
    rows = np.argsort(np.asarray(lengths), kind="stable")
    return [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
