"""quantizing: convert a graph to int8, and measure what that changes."""

import logging
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization as ortq

from lmspec.errors import LmspecError
from lmspec.methods.reading import Floats
from lmspec.specs.checks.quantized import UNSUITED, kind_of
from lmspec.specs.quantized import Dynamic, Static

Feed = dict[str, NDArray[np.int64]]
INTEGER_OPS = (
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
    "ConvInteger",
    "QLinearConv",
    "QLinearMatMul",
)
DEQUANTIZE = "DequantizeLinear"
CALIBRATION = 4  # number of its stream of draws


def quantize(
    model: onnx.ModelProto,
    scheme: Dynamic | Static,
    feeds: Iterable[Feed],
    in_float: Sequence[str] = (),
) -> onnx.ModelProto:
    """Convert a graph to int8.

    feeds     calibration inputs, which only the static scheme reads
    in_float  names of operations of a graph that is `prepared`, which stay as they are
    Raises LmspecError if the scheme does not suit the network, or if there is nothing to quantize,
    which the quantizer does not report.
    """
    kind = kind_of({node.op_type for node in model.graph.node})
    if (kind, scheme.kind) in UNSUITED:
        raise LmspecError("quantized.scheme", *UNSUITED[str(kind), scheme.kind])
    logging.getLogger("root").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "in.onnx"), Path(scratch, "out.onnx")
        onnx.save(model if in_float else prepared(model), source)
        if isinstance(scheme, Dynamic):
            ortq.quantize_dynamic(
                str(source),
                str(target),
                weight_type=ortq.QuantType.QInt8,
                per_channel=scheme.per_channel,
                reduce_range=scheme.reduce_range,
                nodes_to_exclude=list(in_float),
                extra_options={"MatMulConstBOnly": True},
            )
        else:
            ortq.quantize_static(
                str(source),
                str(target),
                _Reader(feeds),
                quant_format=ortq.QuantFormat.QDQ,
                per_channel=scheme.per_channel,
                reduce_range=scheme.reduce_range,
                activation_type=ortq.QuantType.QUInt8,
                weight_type=ortq.QuantType.QInt8,
            )
        result = onnx.load(target)
    if quantized_operations(result) == 0:
        operations = sorted({node.op_type for node in model.graph.node})
        raise LmspecError(
            "quantized.scheme",
            f"'{scheme.kind}' found nothing to quantize among {operations}",
            "take the other scheme",
        )
    return result


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as the quantizer takes it: optimized, and its operations named for good."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "in.onnx"), Path(scratch, "prepared.onnx")
        onnx.save(model, source)
        ortq.quant_pre_process(str(source), str(target), skip_symbolic_shape=True)
        return onnx.load(target)


class _Reader(ortq.CalibrationDataReader):
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self.feeds, None)


def quantized_operations(model: onnx.ModelProto) -> int:
    """Number of operations in int8, or that the runtime fuses into such."""
    return sum(node.op_type in (*INTEGER_OPS, DEQUANTIZE) for node in model.graph.node)


def loss_of(before: Floats, after: Floats) -> dict[str, float]:
    """disagreement_rate and mean_probability_difference of (n, k) probabilities of n texts."""
    predicted = before.argmax(1)
    rows = np.arange(len(before))
    return {
        "disagreement_rate": float((predicted != after.argmax(1)).mean()),
        "mean_probability_difference": float(
            np.abs(before[rows, predicted] - after[rows, predicted]).mean()
        ),
    }


def furthest(
    before: Floats, after: Floats, most: int = 3
) -> Sequence[tuple[int, int, float, float]]:
    """(text, label predicted before, its probability before and after) where it changed most."""
    labels = before.argmax(1)
    rows = np.arange(len(before))
    old, new = before[rows, labels], after[rows, labels]
    order = np.argsort(-np.abs(old - new), kind="stable")[:most]
    return [(int(i), int(labels[i]), float(old[i]), float(new[i])) for i in order]


def drawn(rows: int, wanted: int, seed: int) -> Sequence[int]:
    """Positions of the calibration texts, ascending: uniform, without replacement."""
    return sorted(
        np.random.default_rng([seed, CALIBRATION])
        .choice(rows, min(rows, wanted), replace=False)
        .tolist()
    )
