"""exporting: a torch classifier as an ONNX graph, and the largest difference between the two."""

import contextlib
import io
import itertools
import logging
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnx_ir
import torch
from numpy.typing import NDArray
from onnxscript import optimizer
from torch import nn

from lmspec.methods.reading import Forward

PROBE = 3  # number of its stream of draws


def export(module: nn.Module, max_length: int, opset: int) -> onnx.ModelProto:
    """input_ids, attention_mask (batch, length) -> logits (batch, k).

    batch and length are dynamic, length up to the maximum.

    Traced with a batch of 2 and half the length: a sample of size 1, or of the maximum, is frozen
    into the graph.
    """
    sample = batch(2, max(2, max_length // 2), "right", 100)
    inputs = {
        "input_ids": torch.from_numpy(sample[0]),
        "attention_mask": torch.from_numpy(sample[1]),
    }
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=max_length)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Logits(module).eval(),
            (),
            kwargs=inputs,
            dynamo=True,
            dynamic_shapes=dict.fromkeys(inputs, shape),
            opset_version=opset,
            input_names=list(inputs),
            output_names=["logits"],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return fold(program.model_proto)


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants: else an LSTM's weights stay concatenations, which no quantizer recognises."""
    graph = onnx_ir.from_proto(model)
    optimizer.optimize(graph, input_size_limit=10**9, output_size_limit=10**9)
    return onnx_ir.to_proto(graph)


class _Logits(nn.Module):
    """Return the logits alone: the output of a graph is a tensor, not a dataclass."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        out = self.module(input_ids, attention_mask)
        logits: torch.Tensor = out if isinstance(out, torch.Tensor) else out.logits
        return logits


def batch(
    size: int, length: int, mask: str, vocabulary: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random ids (size, length) and a mask: full, or a quarter missing on the right, on the left or
    as a hole."""
    rng = np.random.default_rng([PROBE, size, length])
    ids = rng.integers(0, vocabulary, (size, length))
    attention = np.ones((size, length), np.int64)
    missing = length // 4
    start = {"full": length, "right": length - missing, "left": 0, "hole": length // 2}[mask]
    attention[:, start : start + missing] = 0
    return ids, attention


def cases(max_length: int, masks: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(batch, length, mask): one token, odd sizes, the maximum; every mask with every shape."""
    shapes = [(1, 1), (1, 7), (3, 17), (8, 32), (2, max_length)]
    return ((b, min(t, max_length), mask) for (b, t), mask in itertools.product(shapes, masks))


def largest_difference(
    one: Forward, other: Forward, max_length: int, masks: Sequence[str], vocabulary: int
) -> tuple[float, str]:
    """(largest absolute difference of a logit, its case) over all cases."""
    worst, where = -1.0, ""
    for size, length, mask in cases(max_length, masks):
        ids, attention = batch(size, length, mask, vocabulary)
        difference = float(np.abs(one(ids, attention) - other(ids, attention)).max())
        if not difference <= worst:  # true for NaN too
            worst, where = difference, f"batch {size}, length {length}, mask {mask}"
    return worst, where
