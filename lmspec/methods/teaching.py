"""teaching: loss of a student: its teacher's outputs and hidden states, and the labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from lmspec.methods.distilling import Answers, first_token, soft_cross_entropy
from lmspec.methods.encoding import Batch
from lmspec.methods.training import Objective
from lmspec.specs.student import Distillation


def taught(truth: NDArray[np.int64], teacher: Answers, spec: Distillation) -> Objective:
    """Weighted sum of soft cross-entropy, distance of hidden states, and cross-entropy."""
    targets = torch.from_numpy(truth)

    def loss(
        model: PreTrainedModel, batch: Batch, input_ids: Tensor, attention_mask: Tensor
    ) -> Tensor:
        out = model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        rows = torch.from_numpy(batch.rows)
        logits = out.logits.float()
        own = torch.stack([first_token(out, layer) for layer in range(teacher.states.shape[1])], 1)
        return (
            spec.soft_weight * soft_cross_entropy(logits, teacher.logits[rows], spec.temperature)
            + spec.hidden_weight * (own - teacher.states[rows]).square().sum(-1).mean()
            + spec.hard_weight * functional.cross_entropy(logits, targets[rows].to(logits.device))
        )

    return loss
