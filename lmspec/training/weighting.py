"""weighting: windows of one text count as much as one text, so each has its weight in a loss."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmspec.methods.reading import Batch


def of_batch(weights: NDArray[np.float32] | None, batch: Batch, like: Tensor) -> Tensor | None:
    """(b,) weights of a batch's rows among (w,), on the device of `like`; None if all count 1."""
    return None if weights is None else torch.from_numpy(weights[batch.rows]).to(like.device)


def mean(each: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of (b,) losses, each times its weight.

    The divisor is b, not the sum of the weights: a text counts the same in every batch.
    """
    return each.mean() if weights is None else (each * weights).mean()
