"""shuffled: a network whose weights are those of another in random order: it has learned nothing.

Of each matrix the entries are permuted, so that sizes and ranges stay.
Source: Adebayo et al. 2018, arXiv:1810.03292 (model parameter randomization).
"""

import torch

from lmspec.methods.attributing import permuted
from lmspec.methods.network import Classifier


def shuffle(network: Classifier, seed: int) -> None:
    """Permute the entries of each matrix in place; vectors stay."""
    with torch.no_grad():
        for number, weight in enumerate(network.parameters()):
            if weight.ndim > 1:
                places = torch.from_numpy(permuted(seed, number, weight.numel()))
                weight.copy_(weight.flatten()[places].reshape(weight.shape))
