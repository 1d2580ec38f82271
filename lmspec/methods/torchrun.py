"""torchrun: a torch classifier as a function of arrays."""

import numpy as np
import torch
from numpy.typing import NDArray

from lmspec.methods.network import Classifier
from lmspec.methods.reading import Forward


def forward(model: Classifier) -> Forward:
    """input_ids, attention_mask (b, t) -> logits (b, k), on the model's device."""

    def run(input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            out = model(
                input_ids=torch.from_numpy(input_ids).to(model.device),
                attention_mask=torch.from_numpy(attention_mask).to(model.device),
            )
        logits: NDArray[np.float32] = out.logits.float().cpu().numpy()
        return logits

    return run
