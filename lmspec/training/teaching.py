"""teaching: loss of a student: its teacher's outputs and hidden states, and the labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmspec.methods.network import Classifier
from lmspec.methods.reading import Batch
from lmspec.specs.student import Distillation
from lmspec.specs.training import CrossEntropy, Focal
from lmspec.training import losses, weighting
from lmspec.training.distilling import Answers, first_token, soft_cross_entropy
from lmspec.training.task import Objective


def taught(
    truth: NDArray[np.int64],
    weights: NDArray[np.float32] | None,
    teacher: Answers,
    spec: Distillation,
    against: CrossEntropy | Focal | None = None,
) -> Objective:
    """Weighted sum of soft cross-entropy, distance of hidden states, and loss against the labels.

    truth, weights  (w,) of each training window: position of its label, and how much it counts
    """
    targets = torch.from_numpy(truth)

    def loss(model: Classifier, batch: Batch, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        out = model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        rows = torch.from_numpy(batch.rows)
        logits = out.logits.float()
        own = torch.stack([first_token(out, layer) for layer in range(teacher.states.shape[1])], 1)
        apart = (own - teacher.states[rows]).square().sum(-1)  # (b, l)
        share = weighting.of_batch(weights, batch, logits)
        soft = soft_cross_entropy(logits, teacher.logits[rows], spec.temperature, share)
        hidden = apart.mean() if share is None else weighting.mean(apart.mean(1), share)
        hard = losses.against_labels(logits, targets[rows].to(logits.device), share, against)
        return spec.soft_weight * soft + spec.hidden_weight * hidden + spec.hard_weight * hard

    return loss
