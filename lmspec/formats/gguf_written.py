"""gguf_written: a GGUF file: what formats/gguf.py reads, written with the package `gguf`.

The same settings and tensors give the same bytes.
"""

import logging
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, GGUFWriter, quantize

from lmspec.errors import LmspecError

Floats = npt.NDArray[np.float32]
FILE = "model.gguf"
KINDS = {name.lower(): GGMLQuantizationType[name] for name in ("F32", "F16", "Q8_0")}
FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7}  # how llama.cpp calls them in `general.file_type`
QUANTIZED_AS = 2  # version of the layout of blocks
VALUES = {  # kind of a setting in Python -> in the file
    bool: GGUFValueType.BOOL,
    int: GGUFValueType.UINT32,
    float: GGUFValueType.FLOAT32,
    str: GGUFValueType.STRING,
    list: GGUFValueType.ARRAY,
}
HALF_ULP = 2.0**-11  # of a number in 16 bits
SMALLEST = 2.0**-25  # half of the smallest number in 16 bits
STEPS = 127  # of Q8_0 above 0, and as many below


def write(
    path: Path,
    settings: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Iterable[tuple[str, Floats]],
    weights: str,
) -> None:
    """Write one file.

    settings  `general.architecture` among them
    shapes    of all tensors, in their order; tensors: (name, values), which may be made one by one
    weights   how matrices are stored: f32, f16 or q8_0; all else is in 32 bits
    Raises LmspecError if a matrix cannot be stored so.
    """
    for name, shape in shapes.items():
        _require_blocks(name, shape, weights)
    logging.getLogger("gguf").setLevel(logging.WARNING)
    writer = GGUFWriter(path, settings["general.architecture"])
    own = {"general.file_type": FILE_TYPES[weights], "general.quantization_version": QUANTIZED_AS}
    for name, value in (own | dict(settings)).items():
        if name != "general.architecture":  # it has that already
            writer.add_key_value(name, value, VALUES[type(value)])
    for name, shape in shapes.items():
        kind = kind_of(shape, weights)
        block, size = GGML_QUANT_SIZES[kind]
        writer.add_tensor_info(name, shape, np.dtype("f4"), prod(shape) // block * size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, values in tensors:
        with np.errstate(over="ignore"):  # it is noticed
            stored = quantize(np.ascontiguousarray(values), kind_of(values.shape, weights))
        if stored.dtype == np.float16 and not np.isfinite(stored).all():
            found = f"{name} has {np.abs(values).max():.3g}, which 16 bits cannot hold"
            raise LmspecError("exported.format.weights", found, "write f32 or q8_0")
        writer.write_tensor_data(stored)
    writer.close()


def kind_of(shape: tuple[int, ...], weights: str) -> GGMLQuantizationType:
    """How a tensor is stored: a vector, such as of a norm, is always in 32 bits."""
    return KINDS[weights if len(shape) > 1 else "f32"]


def _require_blocks(name: str, shape: tuple[int, ...], weights: str) -> None:
    block, _ = GGML_QUANT_SIZES[kind_of(shape, weights)]
    if shape[-1] % block:
        found = f"the rows of {name} have {shape[-1]} numbers, no whole blocks of {block}"
        raise LmspecError("exported.format.weights", found, "write f16 or f32")


def furthest(values: Floats, weights: str) -> Floats:
    """How far a stored number may be from each of these, by rounding alone; the same shape."""
    kind = kind_of(values.shape, weights)
    if kind == KINDS["f32"]:
        return np.zeros_like(values)
    if kind == KINDS["f16"]:
        return np.abs(values) * np.float32(HALF_ULP) + np.float32(SMALLEST)
    block, _ = GGML_QUANT_SIZES[kind]
    most = np.abs(values.reshape(-1, block)).max(1, keepdims=True)
    # half a step; and the scale itself is rounded to 16 bits
    bound = most * np.float32(0.501 / STEPS + HALF_ULP) + np.float32(STEPS * SMALLEST)
    return np.broadcast_to(bound, (len(bound), block)).reshape(values.shape)
