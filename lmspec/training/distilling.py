"""distilling: a teacher's outputs on the training texts, and the loss against them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lmspec.methods.network import Classifier
from lmspec.methods.reading import Ids, collate, length_order, lengths
from lmspec.training import weighting

ANSWER_BATCH = 64


@dataclass(frozen=True)
class Answers:
    """Outputs of a teacher on w windows, computed once: it does not change during training.

    logits  (w, k)
    states  (w, l, d) hidden state of the first token after each of l layers, of length 1
    """

    logits: Tensor
    states: Tensor


def answers(teacher: Classifier, ids: Sequence[Ids], pad_id: int, layers: Sequence[int]) -> Answers:
    """The teacher's logits, and its hidden states after those layers (from 0), if any."""
    logits: list[Tensor] = [torch.empty(0)] * len(ids)
    states: list[Tensor] = [torch.empty(0)] * len(ids)
    teacher.eval()
    wanted = {"output_hidden_states": True} if layers else {}
    for rows in length_order(lengths(ids), ANSWER_BATCH):
        batch = collate(ids, rows, pad_id)
        with torch.no_grad():
            out = teacher(
                input_ids=torch.from_numpy(batch.input_ids).to(teacher.device),
                attention_mask=torch.from_numpy(batch.attention_mask).to(teacher.device),
                **wanted,
            )
        first = (  # (b, l, d)
            torch.stack([first_token(out, layer) for layer in layers], 1)
            if layers
            else torch.empty(len(rows), 0)
        )
        for row, logit, state in zip(rows, out.logits.float(), first, strict=True):
            logits[row], states[row] = logit, state
    return Answers(torch.stack(logits), torch.stack(states))  # (w, k), (w, l, d)


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, temperature: float, weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of softened probabilities, times temperature squared.

    student, teacher  (b, k) logits
    weights           (b,) how much each row counts; None: all the same

    The factor keeps the size of the gradient the same at every temperature. Source: Hinton et al.
    2015, arXiv:1503.02531.
    """
    target = functional.softmax(teacher / temperature, -1)
    each = (target * functional.log_softmax(student / temperature, -1)).sum(-1)  # (b,)
    return -weighting.mean(each, weights) * temperature**2


def first_token(out: object, layer: int) -> Tensor:
    """(b, d) hidden state of the first token after a layer (from 0), scaled to length 1."""
    return functional.normalize(out.hidden_states[layer + 1][:, 0].float(), dim=-1)  # type: ignore[attr-defined]
