"""shuffledgraph: a graph whose weights are those of another in random order, as methods/shuffled.py
has it for networks."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from lmspec.methods.attributing import permuted

WEIGHTS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)


def shuffled(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """A copy with the entries of each matrix permuted. Raises ValueError if it has no matrix."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    found = False
    for number, tensor in enumerate(copy.graph.initializer):
        if tensor.data_type in WEIGHTS and len(tensor.dims) > 1:
            values = numpy_helper.to_array(tensor)
            places = permuted(seed, number, values.size)
            mixed = np.ascontiguousarray(values.ravel()[places].reshape(values.shape))
            tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
            found = True
    if not found:
        raise ValueError("the graph has no matrix among its initializers")
    return copy
