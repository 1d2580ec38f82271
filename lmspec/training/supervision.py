"""supervision: loss and metrics on labelled texts."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmspec.methods import metrics, reading, torchrun
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Batch, Windows
from lmspec.specs.training import CrossEntropy, Focal
from lmspec.training import losses, weighting
from lmspec.training.task import Objective

# Of evaluations during training. It can change last digits, and with them which step is best: so
# it is no setting of the machine.
EVALUATION_BATCH = 64


def supervised(
    truth: NDArray[np.int64],
    weights: NDArray[np.float32] | None = None,
    against: CrossEntropy | Focal | None = None,
) -> Objective:
    """Mean loss against the labels.

    truth, weights  (w,) of each training window: position of its label, and how much it counts
    """
    targets = torch.from_numpy(truth)

    def loss(model: Classifier, batch: Batch, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits  # (b, k)
        return losses.against_labels(
            logits.float(),
            targets[batch.rows].to(logits.device),
            weighting.of_batch(weights, batch, logits),
            against,
        )

    return loss


def evaluation(
    model: Classifier, windows: Windows, truth: NDArray[np.int64], pad_id: int
) -> Callable[[], dict[str, float]]:
    """A function that evaluates the model in its state at the call. truth: (n,) by text."""

    def evaluate() -> dict[str, float]:
        forward = torchrun.forward(model)
        return metrics.dev(truth, reading.predicted(forward, windows, pad_id, EVALUATION_BATCH))

    return evaluate


def prior_log_loss(truth: NDArray[np.int64]) -> float:
    """Log loss (nats) of always answering the share of each label: what a cold model reaches."""
    share = np.unique(truth, return_counts=True)[1] / len(truth)
    return float(-(share * np.log(share)).sum())
