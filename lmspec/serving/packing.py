"""packing: tensors as requests of the Open Inference Protocol have them -> texts and numbers.

Each is JSON, or bytes after the JSON: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmspec.methods.reading import Ids
from lmspec.serving.asking import malformed

INT64 = np.iinfo(np.int64)
SIZE = "binary_data_size"


@dataclass(frozen=True)
class Tensor:
    """An input of a request.

    content  its bytes, or its list of JSON
    """

    name: str
    datatype: str
    shape: Sequence[int]
    content: bytes | list[Any]


def tensors(inputs: Any, rest: bytes) -> list[Tensor]:
    """Those of a request. rest: what follows the JSON, in the order of the inputs."""
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        malformed("`inputs` is a list of tensors")
    found, place = [], 0
    for given in inputs:
        name, datatype, data = given.get("name"), given.get("datatype"), given.get("data")
        if not isinstance(name, str) or not isinstance(datatype, str):
            malformed("each input has a `name`, a `datatype` and a `shape`")
        size = parameters(given).get(SIZE)
        if size is None:
            if not isinstance(data, list):
                malformed(f"an input has `data`, or the parameter `{SIZE}`")
            found.append(Tensor(name, datatype, _shape(given.get("shape")), data))
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - place or "data" in given:
            malformed(f"{SIZE} is {str(size)[:50]}, and {len(rest) - place} bytes follow")
        content = rest[place : place + size]
        found.append(Tensor(name, datatype, _shape(given.get("shape")), content))
        place += size
    if place < len(rest):
        malformed(f"{len(rest) - place} bytes belong to no input")
    return found


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a request, an input or an output."""
    found = values.get("parameters", {})
    if not isinstance(found, dict):
        malformed("`parameters` is an object")
    return found


def texts(tensor: Tensor) -> list[str]:
    """Of shape [n] or [n, 1]; in binary each with its length before it."""
    _require(tensor, "BYTES")
    shape = tensor.shape
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        malformed(f"the shape of `{tensor.name}` is [n] or [n, 1]")
    if isinstance(tensor.content, bytes):
        values = _unpacked(tensor.content)
    else:
        values = [
            one[0] if isinstance(one, list) and len(one) == 1 else one for one in tensor.content
        ]
        for number, text in enumerate(values):
            if not isinstance(text, str):
                malformed(f"text {number} is not a text")
    if shape[0] != len(values):
        malformed(f"the shape has {shape[0]} texts, and the data {len(values)}")
    return values


def integers(tensor: Tensor) -> Ids:
    """(n, t) of shape [n, t]; in binary 8 bytes each."""
    _require(tensor, "INT64")
    shape, content = tensor.shape, tensor.content
    if len(shape) != 2:
        malformed(f"the shape of `{tensor.name}` is [n, t]")
    if isinstance(content, bytes):
        size = len(content) / 8
    else:
        if content and isinstance(content[0], list):
            if not all(isinstance(row, list) and len(row) == shape[1] for row in content):
                malformed(f"each row of `{tensor.name}` has {shape[1]} numbers, as its shape says")
            content = list(itertools.chain.from_iterable(content))
        if not all(type(one) is int and INT64.min <= one <= INT64.max for one in content):
            malformed(f"`{tensor.name}` has whole numbers of 64 bits")
        size = len(content)
    if size != math.prod(shape):
        malformed(f"the shape of `{tensor.name}` has {math.prod(shape)} numbers, its data {size:g}")
    if isinstance(content, bytes):
        return np.frombuffer(content, "<i8").astype(np.int64).reshape(shape)
    return np.array(content, np.int64).reshape(shape)


def packed(values: Sequence[str]) -> bytes:
    """Texts as bytes, each with its length before it."""
    encoded = [value.encode() for value in values]
    return b"".join(len(one).to_bytes(4, "little") + one for one in encoded)


def _unpacked(content: bytes) -> list[str]:
    values: list[str] = []
    place = 0
    while place < len(content):
        end = place + 4 + int.from_bytes(content[place : place + 4], "little")
        if place + 4 > len(content) or end > len(content):
            malformed(f"text {len(values)} is longer than what follows")
        try:
            values.append(content[place + 4 : end].decode("utf-8"))
        except UnicodeDecodeError:
            malformed(f"text {len(values)} is not UTF-8")
        place = end
    return values


def _require(tensor: Tensor, datatype: str) -> None:
    if tensor.datatype != datatype:
        malformed(f"the datatype of `{tensor.name}` is {datatype}")


def _shape(shape: Any) -> list[int]:
    if not isinstance(shape, list) or not all(
        type(n) is int and 0 <= n <= INT64.max for n in shape
    ):
        malformed("a shape is a list of whole numbers")
    return [*shape]
