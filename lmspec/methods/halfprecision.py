"""halfprecision: a graph whose numbers are in fp16, and in which numbers a graph's weights are."""

import warnings
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.transformers import float16

MOST = 65_504.0  # the largest number of fp16; masks have lower ones than its negative
LEAST = 1e-7  # below it a positive number would become 0, and a division by it infinite
SEVEN_BITS = 64  # what `reduce_range` leaves of 128


@dataclass(frozen=True)
class Weights:
    """In which numbers they are.

    halves   is any in fp16?
    largest  absolute value of those in int8; 0 without any
    """

    halves: bool
    largest: int

    @property
    def in_int8(self) -> bool:
        """Is any of them?"""
        return self.largest > 0

    @property
    def overflows(self) -> bool:
        """Can kernels without VNNI overflow: are they of 8 bits in place of 7?"""
        return self.largest > SEVEN_BITS


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in fp16; its inputs and outputs stay as they are."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numbers that are cut, such as those of masks
        result: onnx.ModelProto = float16.convert_float_to_float16(
            copy, min_positive_val=LEAST, max_finite_val=MOST, keep_io_types=True
        )
    return result


def weights(model: onnx.ModelProto) -> Weights:
    """Of the matrices of a graph; single numbers, such as zero points, do not count."""
    halves, largest = False, 0
    for tensor in model.graph.initializer:
        halves |= tensor.data_type == TensorProto.FLOAT16
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1:
            values = numpy_helper.to_array(tensor).astype(np.int32)
            largest = max(largest, int(np.abs(values).max(initial=0)))
    return Weights(halves, largest)
