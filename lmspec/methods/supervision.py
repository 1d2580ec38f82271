"""supervision: loss and metrics on labelled texts."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.methods import metrics, predicting, torchrun
from lmspec.methods.encoding import Batch, Ids
from lmspec.methods.training import Objective

# Of evaluations during training. It can change last digits, and with them which step is best: so
# it is no setting of the machine.
EVALUATION_BATCH = 64


def cross_entropy(truth: NDArray[np.int64]) -> Objective:
    """Mean cross-entropy. truth: (n,) positions of the labels of the training texts."""
    targets = torch.from_numpy(truth)

    def loss(
        model: PreTrainedModel, batch: Batch, input_ids: Tensor, attention_mask: Tensor
    ) -> Tensor:
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits  # (b, k)
        return torch.nn.functional.cross_entropy(
            logits.float(), targets[batch.rows].to(logits.device)
        )

    return loss


def evaluation(
    model: PreTrainedModel, ids: Sequence[Ids], truth: NDArray[np.int64], pad_id: int
) -> Callable[[], dict[str, float]]:
    """A function that evaluates the model in its state at the call."""

    def evaluate() -> dict[str, float]:
        values = predicting.logits(torchrun.forward(model), ids, pad_id, EVALUATION_BATCH)
        return metrics.summary(truth, predicting.probabilities(values))

    return evaluate
