"""likelihood: how probable tokens are by a model's logits."""

import numpy as np
from numpy.typing import NDArray


def nats(logits: NDArray[np.float32], ids: NDArray[np.int64]) -> float:
    """Minus the log probability of tokens (t,), by the logits (t, V) before each."""
    wide = logits.astype(np.float64)
    top = wide.max(-1, keepdims=True)
    total = np.log(np.exp(wide - top).sum(-1)) + top[:, 0]
    return float((total - wide[np.arange(len(ids)), ids]).sum())
