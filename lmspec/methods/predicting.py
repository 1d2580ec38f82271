"""predicting: the logits of many texts, from whatever gives the logits of one batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmspec.methods.encoding import Ids, collate, length_order

Forward = Callable[[Ids, Ids], NDArray[np.float32]]


@dataclass(frozen=True)
class Predictor:
    """What scores and speed need of a model or graph: logits of a batch, and how texts become one.

    forward  input_ids, attention_mask (b, t) -> logits (b, k)
    labels   in the order of the logits
    """

    forward: Forward
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    pad_id: int


def logits(
    forward: Forward, ids: Sequence[Ids], pad_id: int, batch_size: int
) -> NDArray[np.float32]:
    """(n, k) in the order of `ids`; texts of similar length share a batch."""
    parts = length_order([len(i) for i in ids], batch_size)
    out: NDArray[np.float32] | None = None
    for rows in parts:
        batch = collate(ids, rows, pad_id)
        got = forward(batch.input_ids, batch.attention_mask)
        if out is None:
            out = np.empty((len(ids), got.shape[1]), np.float32)
        out[rows] = got
    if out is None:
        raise ValueError("there is no text to predict")
    return out


def probabilities(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax over the last axis, in double precision."""
    shifted = values.astype(np.float64) - values.max(-1, keepdims=True)  # exp cannot overflow
    powers = np.exp(shifted)
    result: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return result
