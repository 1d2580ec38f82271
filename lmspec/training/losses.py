"""losses: how far a model's logits are from the labels."""

import torch
from torch import Tensor
from torch.nn import functional

from lmspec.specs.training import CrossEntropy, Focal
from lmspec.training import weighting


def against_labels(
    logits: Tensor, truth: Tensor, weights: Tensor | None, loss: CrossEntropy | Focal | None
) -> Tensor:
    """Mean loss of (b, k) logits with (b,) positions of labels, each row times its weight."""
    if isinstance(loss, Focal):
        each = functional.cross_entropy(logits, truth, reduction="none")  # (b,)
        return weighting.mean(_hardness(each) ** loss.gamma * each, weights)
    smoothing = loss.label_smoothing if loss else 0.0
    if weights is None:
        return functional.cross_entropy(logits, truth, label_smoothing=smoothing)
    each = functional.cross_entropy(logits, truth, reduction="none", label_smoothing=smoothing)
    return weighting.mean(each, weights)


def _hardness(each: Tensor) -> Tensor:
    """(b,) 1 - p of the label, of its (b,) cross-entropy.

    Above 0, where a power below 1 has no gradient.
    """
    return -torch.expm1(-each).clamp(max=-torch.finfo(each.dtype).tiny)
