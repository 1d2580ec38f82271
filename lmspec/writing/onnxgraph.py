"""onnxgraph: an ONNX graph with its constants apart, since a message of protobuf ends at 2 GiB."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]
MICROSOFT = "com.microsoft"  # domain of the operators that onnxruntime adds to ONNX
IDS, MASK, KEEP, LOGITS = "input_ids", "attention_mask", "logits_to_keep", "logits"
PAST = "past_key_values."


@dataclass(frozen=True)
class Graph:
    """model: its nodes, inputs and outputs; constants: name -> value, in the order of the file."""

    model: onnx.ModelProto
    constants: Mapping[str, Array]

    def is_matrix(self, name: str) -> bool:
        """Is it a constant of two dimensions, of floating-point numbers?"""
        value = self.constants.get(name)
        return value is not None and value.ndim == 2 and value.dtype == np.float32
