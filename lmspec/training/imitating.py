"""imitating: what a model gives the tokens that another one learns, and the loss against it.

Of each token the largest logits are kept, and all other tokens of the vocabulary count as one, so
that nothing of the width of the vocabulary is kept: 32 logits take 260 bytes a token.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from lmspec.methods.reading import Ids
from lmspec.specs.student import Distillation
from lmspec.specs.updated import Retention
from lmspec.training import writing
from lmspec.training.task import Objective
from lmspec.training.writing import Lines

IN_MEMORY = 2**26  # bytes; what is larger is mapped, and the system keeps of it what fits
BLOCK = bytes(2**20)


@dataclass(frozen=True)
class Kept:
    """Softened probabilities of m learned tokens, computed once: they do not change in training.

    first   (w,) where the tokens of each example begin
    tokens  (m, k) the most probable ones, int32
    shares  (m, k + 1) their probabilities, and that of all others together, if there are any
    """

    first: Ids
    tokens: NDArray[np.int32]
    shares: NDArray[np.float32]

    def of(self, places: Ids, device: torch.device) -> tuple[Tensor, Tensor]:
        """(tokens, shares) at some places, on a device."""
        tokens = torch.from_numpy(self.tokens[places].astype(np.int64))
        return tokens.to(device), torch.from_numpy(self.shares[places]).to(device)

    def __str__(self) -> str:
        count, k = self.tokens.shape
        size = (self.tokens.nbytes + self.shares.nbytes) / 1e6
        return f"{k:,} logits of each of {count:,} learned tokens are kept, {size:,.1f} MB"


def kept(
    model: PreTrainedModel,
    ids: Sequence[Ids],
    learned: Sequence[Ids],
    pad_id: int,
    top: int,
    temperature: float,
) -> Kept:
    """What a model gives the learned tokens of these examples: the `top` largest logits of each."""
    weight = np.asarray([int(row.sum()) for row in learned], np.int64)
    first, total = np.cumsum(weight) - weight, int(weight.sum())
    result: Kept | None = None
    model.eval()
    for batch, logits in writing.each_logits(model, ids, learned, pad_id, writing.fitting(ids)):
        k = min(top, logits.shape[1])
        if result is None:
            width = k + (k < logits.shape[1])
            result = Kept(first, _room((total, k), np.int32), _room((total, width), np.float32))
        values, own = logits.topk(k)
        softened = torch.cat([values, _rest(logits, own, temperature)], 1) / temperature
        places = first[batch.rows[batch.row_of]] + ordinals(batch)
        result.tokens[places] = own.cpu().numpy()
        result.shares[places] = softened.softmax(-1).cpu().numpy()
    assert result is not None  # without a learned token there is no example
    return result


def soft_loss(logits: Tensor, tokens: Tensor, shares: Tensor, temperature: float) -> Tensor:
    """(m,) cross-entropy of softened probabilities, times temperature squared.

    logits          (m, v) of the model that learns
    tokens, shares  as Kept has them
    With all tokens kept it is the whole softmax's. The factor keeps the size of the gradient the
    same at every temperature. Source: Hinton et al. 2015, arXiv:1503.02531.
    """
    softened = logits / temperature
    own = torch.cat([softened.gather(1, tokens), _rest(softened, tokens)], 1)
    each = (shares * functional.log_softmax(own, -1)).sum(-1)
    return -each * temperature**2


def retaining(kept: Kept, new: int, spec: Retention, label_smoothing: float = 0.0) -> Objective:
    """Loss of the learned tokens of all examples, and the earlier model's outputs on old ones.

    kept  of the examples from number `new` on, the old ones
    """

    def loss(
        model: PreTrainedModel, batch: Lines, input_ids: Tensor, attention_mask: Tensor
    ) -> Tensor:
        logits = writing.guessed(model, batch, input_ids).float()
        truth = torch.from_numpy(batch.truth).to(logits.device)
        total = functional.cross_entropy(logits, truth, label_smoothing=label_smoothing)
        example = batch.rows[batch.row_of]
        is_old = example >= new
        if is_old.any():
            places = kept.first[example[is_old] - new] + ordinals(batch)[is_old]
            old = logits[torch.from_numpy(is_old).to(logits.device)]
            each = soft_loss(old, *kept.of(places, logits.device), spec.temperature)
            # by all tokens, so that an old one weighs the same in every batch
            total = total + spec.weight * each.sum() / len(truth)
        return total

    return loss  # type: ignore[return-value]  # its batches are those of `writing.collated`


def taught(kept: Kept | None, spec: Distillation, label_smoothing: float = 0.0) -> Objective:
    """Weighted sum of the loss against a teacher's outputs, and that of the learned tokens.

    kept  of all examples; None if its weight is 0
    """

    def loss(
        model: PreTrainedModel, batch: Lines, input_ids: Tensor, attention_mask: Tensor
    ) -> Tensor:
        logits = writing.guessed(model, batch, input_ids).float()
        truth = torch.from_numpy(batch.truth).to(logits.device)
        hard = functional.cross_entropy(logits, truth, label_smoothing=label_smoothing)
        if kept is None:
            return spec.hard_weight * hard
        places = kept.first[batch.rows[batch.row_of]] + ordinals(batch)
        soft = soft_loss(logits, *kept.of(places, logits.device), spec.temperature).mean()
        return spec.soft_weight * soft + spec.hard_weight * hard

    return loss  # type: ignore[return-value]  # its batches are those of `writing.collated`


def ordinals(batch: Lines) -> Ids:
    """(m,) of each learned token of a batch, its number among those of its example."""
    places = np.arange(len(batch.row_of))
    begins = np.diff(batch.row_of, prepend=-1) != 0  # an example's tokens are side by side
    result: Ids = places - np.maximum.accumulate(np.where(begins, places, 0))
    return result


def _rest(logits: Tensor, tokens: Tensor, temperature: float = 1.0) -> Tensor:
    """(m, 1) the logit of all other tokens together, at that temperature; (m, 0) of none."""
    if tokens.shape[1] == logits.shape[1]:
        return logits[:, :0]
    others = logits.scatter(1, tokens, -torch.inf)
    return temperature * torch.logsumexp(others / temperature, -1, keepdim=True)


def _room(shape: tuple[int, int], kind: type[np.generic]) -> NDArray[Any]:
    """An array, in memory or in a file without a name. Raises OSError if there is no room."""
    size = shape[0] * shape[1] * np.dtype(kind).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, kind)
    with tempfile.TemporaryFile() as file:
        for start in range(0, size, len(BLOCK)):  # a full disk would end the process later
            file.write(BLOCK[: size - start])
        file.flush()
        return np.memmap(file, kind, "r+", shape=shape).view(np.ndarray)
