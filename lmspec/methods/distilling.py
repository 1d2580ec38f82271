"""distilling: losses that hold a model to another model's answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from lmspec.methods.encoding import Batch, Ids, collate, length_order
from lmspec.methods.training import Objective
from lmspec.specs.student import Distillation

ANSWER_BATCH = 64


@dataclass(frozen=True)
class Answers:
    """What a teacher says of n texts, computed once: it does not change while a student learns.

    logits  (n, k)
    states  (n, l, d): of l of its layers, the hidden state of the first token, scaled to length 1
    """

    logits: Tensor
    states: Tensor


def answers(teacher: PreTrainedModel, ids: Sequence[Ids], pad_id: int, layers: Sequence[int]) -> Answers:
    """The teacher's logits, and the states behind those of its layers (from 0); no layers, no states."""
    logits: list[Tensor] = [torch.empty(0)] * len(ids)
    states: list[Tensor] = [torch.empty(0)] * len(ids)
    teacher.eval()
    wanted = {"output_hidden_states": True} if layers else {}
    for rows in length_order([len(i) for i in ids], ANSWER_BATCH):
        batch = collate(ids, rows, pad_id)
        with torch.no_grad():
            out = teacher(
                input_ids=torch.from_numpy(batch.input_ids).to(teacher.device),
                attention_mask=torch.from_numpy(batch.attention_mask).to(teacher.device),
                **wanted,
            )
        first = torch.stack([_state(out, layer) for layer in layers], 1) if layers else torch.empty(len(rows), 0)
        for row, logit, state in zip(rows, out.logits.float(), first, strict=True):
            logits[row], states[row] = logit, state
    return Answers(torch.stack(logits), torch.stack(states))


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of the softened probabilities, times temperature squared. student, teacher (b, k) logits.

    The factor keeps the size of the gradient the same at every temperature. Source: Hinton et al. 2015, arXiv:1503.02531.
    """
    target = functional.softmax(teacher / temperature, -1)
    return -(target * functional.log_softmax(student / temperature, -1)).sum(-1).mean() * temperature**2


def taught(truth: NDArray[np.int64], teacher: Answers, spec: Distillation) -> Objective:
    """Weighted sum of soft cross-entropy, distance of hidden states at every layer, and cross-entropy with the labels."""
    targets = torch.from_numpy(truth)

    def loss(model: PreTrainedModel, batch: Batch, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        out = model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        rows = torch.from_numpy(batch.rows)
        logits = out.logits.float()
        own = torch.stack([_state(out, layer) for layer in range(teacher.states.shape[1])], 1)
        return (
            spec.soft_weight * soft_cross_entropy(logits, teacher.logits[rows], spec.temperature)
            + spec.hidden_weight * (own - teacher.states[rows]).square().sum(-1).mean()
            + spec.hard_weight * functional.cross_entropy(logits, targets[rows].to(logits.device))
        )

    return loss


def _state(out: object, layer: int) -> Tensor:
    return functional.normalize(out.hidden_states[layer + 1][:, 0].float(), dim=-1)  # type: ignore[attr-defined]
