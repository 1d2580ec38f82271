"""masking: which tokens of a text are guessed in an epoch, and the loss of guessing them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.methods.reading import Batch, Ids, collate, length_order, lengths
from lmspec.specs.pretrained import Masking
from lmspec.training.task import Objective

MASKS, DEV_MASKS = 3, 4  # numbers of their streams of draws
EVALUATION_BATCH = 16  # texts at once: their logits have the width of the vocabulary


@dataclass(frozen=True)
class Vocabulary:
    """mask: id of the mask; ordinary: (v,) ascending ids of the tokens that texts consist of."""

    mask: int
    ordinary: Ids


@dataclass(frozen=True)
class Guesses:
    """Texts with tokens to guess.

    input_ids  (b, t) with masks
    at         (m,) positions in the flattened batch that are guessed
    truth      (m,) the tokens that were there
    """

    input_ids: Ids
    at: Ids
    truth: Ids


class Masks:
    """Draws what is guessed: a function of seed, epoch and text, so order and resuming change none.

    stream  MASKS in training, where each epoch has its own; DEV_MASKS are always the same
    """

    def __init__(self, rule: Masking, words: Vocabulary, seed: int, stream: int) -> None:
        self.rule, self.words, self.seed, self.stream = rule, words, seed, stream

    def of(self, batch: Batch, epoch: int) -> Guesses:
        """The batch as it is seen in that epoch."""
        ids, at, truth = batch.input_ids.copy(), [], []
        for place, row in enumerate(batch.rows):
            chosen = self._chosen(ids[place], batch.attention_mask[place], epoch, int(row))
            at.append(place * ids.shape[1] + chosen)
            truth.append(batch.input_ids[place, chosen])
        return Guesses(ids, np.concatenate(at), np.concatenate(truth))

    def _chosen(self, ids: Ids, attention_mask: Ids, epoch: int, row: int) -> Ids:
        """Positions in a text, which is changed there; none if it has no ordinary token."""
        rng = np.random.default_rng([self.seed, self.stream, epoch, row])
        (candidates,) = np.nonzero(np.isin(ids, self.words.ordinary) & (attention_mask > 0))
        count = min(len(candidates), max(1, round(self.rule.share * len(candidates))))
        chosen = np.sort(rng.choice(candidates, count, replace=False)) if count else candidates
        draws = rng.random(len(chosen))
        others = rng.choice(self.words.ordinary, len(chosen))
        masked = draws < self.rule.masked
        ids[chosen[masked]] = self.words.mask
        replaced = ~masked & (draws < self.rule.masked + self.rule.random)
        ids[chosen[replaced]] = others[replaced]
        result: Ids = chosen
        return result


@contextmanager
def only(model: PreTrainedModel, at: Tensor) -> Iterator[None]:
    """While this lasts, the head sees these positions of the flattened batch, as one text."""

    def gather(_: Any, __: Any, output: Any) -> Any:
        states = output[0]  # (b, t, h)
        output[0 if isinstance(output, tuple) else "last_hidden_state"] = states.reshape(
            -1, states.shape[-1]
        )[at].unsqueeze(0)
        return output

    hook = model.base_model.register_forward_hook(gather)
    try:
        yield
    finally:
        hook.remove()


def guessing(masks: Masks) -> Callable[[int], Objective]:
    """Epoch -> mean cross-entropy of the tokens that are guessed in it."""

    def of_epoch(epoch: int) -> Objective:
        def loss(
            model: PreTrainedModel, batch: Batch, input_ids: Tensor, attention_mask: Tensor
        ) -> Tensor:
            guesses = masks.of(batch, epoch)
            logits = _logits(model, guesses, attention_mask)
            truth = torch.from_numpy(guesses.truth).to(logits.device)
            return torch.nn.functional.cross_entropy(logits.float(), truth)

        return loss

    return of_epoch


def evaluation(
    model: PreTrainedModel, ids: Sequence[Ids], pad_id: int, masks: Masks
) -> Callable[[], dict[str, float]]:
    """A function that guesses tokens of these texts, the same ones at each call."""

    def evaluate() -> dict[str, float]:
        loss, right, count = 0.0, 0, 0
        for rows in length_order(lengths(ids), EVALUATION_BATCH):
            batch = collate(ids, rows, pad_id)
            guesses = masks.of(batch, 0)
            with torch.inference_mode():
                mask = torch.from_numpy(batch.attention_mask).to(model.device)
                logits = _logits(model, guesses, mask).float().cpu()
            truth = torch.from_numpy(guesses.truth)
            loss += float(torch.nn.functional.cross_entropy(logits, truth, reduction="sum"))
            right += int((logits.argmax(-1) == truth).sum())
            count += len(truth)
        return {"accuracy": right / count, "log_loss": loss / count}

    return evaluate


def has_ordinary(ids: Ids, words: Vocabulary) -> bool:
    """Is there a token to guess?"""
    return bool(np.isin(ids, words.ordinary).any())


def _logits(model: PreTrainedModel, guesses: Guesses, attention_mask: Tensor) -> Tensor:
    """(m, v) at the guessed positions."""
    ids = torch.from_numpy(guesses.input_ids).to(model.device)
    with only(model, torch.from_numpy(guesses.at).to(model.device)):
        out: Tensor = model(input_ids=ids, attention_mask=attention_mask).logits
    return out[0]
