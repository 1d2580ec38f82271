"""gguf: the file in which llama.cpp keeps a model: settings, a tokenizer's tokens, tensors.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The header is read here: the
reader of `gguf` takes 2.4 CPU-seconds for 50,000 tokens, where this takes 0.1, and does not notice
where a file is cut short.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

from lmspec.errors import LmspecError

MAGIC, VERSIONS = b"GGUF", (2, 3)
STRING, ARRAY = 8, 9
# Kind of a value -> how numpy calls it.
NUMBERS = {
    0: "u1",
    1: "i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
U32, U64 = 4, 10
ALIGNMENT, ALIGNED = "general.alignment", 32  # bytes, where a file does not say another
MOST_DIMENSIONS = 4
WHOLE = "take a whole file: compare its size and SHA-256 with those of its publisher"
OTHER = "take another file of the model, such as one in Q8_0, Q4_K_M or F16, or its safetensors"


@dataclass(frozen=True)
class Stored:
    """A tensor as the file has it.

    shape  as numpy and torch have it: the file has it reversed
    kind   how its numbers are stored, such as Q4_1
    start  its first byte
    """

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of the values that differ in the last index alone."""
        values, size = GGML_QUANT_SIZES[self.kind]
        return self.shape[-1] // values * size


@dataclass(frozen=True)
class File:
    """What its header says; the content is read when it is asked for.

    settings  by their names, such as `llama.block_count`; arrays as lists
    """

    path: Path
    settings: Mapping[str, Any]
    tensors: Mapping[str, Stored]

    @functools.cached_property
    def _content(self) -> npt.NDArray[np.uint8]:
        return np.memmap(self.path, np.uint8, "r")

    def values(
        self, name: str, rows: npt.NDArray[np.intp] | None = None
    ) -> npt.NDArray[np.float32]:
        """A tensor in float32. rows: their order, if it is another than the file's.

        Raises LmspecError if `gguf` does not know how its numbers are stored.
        """
        stored = self.tensors[name]
        shape = (*stored.shape[:-1], stored.row_bytes)
        blocks = self._content[stored.start : stored.start + prod(shape)].reshape(shape)
        blocks = np.ascontiguousarray(blocks if rows is None else blocks[rows])
        try:
            values: npt.NDArray[np.float32] = dequantize(blocks, stored.kind)
        except NotImplementedError:
            found = f"its numbers are {stored.kind.name}, which the package `gguf` cannot read"
            raise LmspecError(f"{self.path.name}, {name}", found, OTHER) from None
        return values


def read(path: Path) -> File:
    """Read the header of a file, and see that all of its tensors are there.

    Raises LmspecError if it is no GGUF, cut short, or not as the format demands.
    """
    header = _Header(np.memmap(path, np.uint8, "r") if path.stat().st_size else b"", path.name)
    if bytes(header.take(4, "its first four bytes")) != MAGIC:
        raise header.error("", "it is no GGUF file: it does not begin with GGUF", "name another")
    version = header.number(U32, "its version")
    if version not in VERSIONS:
        found = f"it is GGUF of version {version:,}; 2 and 3 in little-endian are read"
        raise header.error("", found, "convert it with a newer llama.cpp, or take another file")
    tensors, count = header.number(U64, "its counts"), header.number(U64, "its counts")
    settings: dict[str, Any] = {}
    for _ in range(count):
        name = header.text("the name of a setting")
        header.require_new(name, settings)
        settings[name] = header.value(header.number(U32, name), name)
    infos: dict[str, Stored] = {}
    for _ in range(tensors):
        name = header.text("the name of a tensor")
        header.require_new(name, infos)
        infos[name] = header.tensor(name)
    return File(path, settings, _placed(header, infos, settings.get(ALIGNMENT, ALIGNED)))


def _placed(header: "_Header", infos: Mapping[str, Stored], alignment: Any) -> dict[str, Stored]:
    """Tensors with their places in the file; those of infos are from where the header ends.

    alignment  bytes, of which the content begins at a multiple
    Raises LmspecError if one is not there in whole.
    """
    if not isinstance(alignment, int) or alignment < 1:
        raise header.error(ALIGNMENT, f"it is {alignment}", WHOLE)
    first = -(-header.position // alignment) * alignment
    placed = {}
    for name, info in infos.items():
        placed[name] = replace(info, start=info.start + first)
        end = placed[name].start + prod(info.shape[:-1]) * info.row_bytes
        if end > header.size:
            found = f"it ends at byte {end:,}, and the file is cut short at {header.size:,}"
            raise header.error(name, found, WHOLE)
    return placed


class _Header:
    """The bytes of a header, read one after another. Raises LmspecError where they end."""

    def __init__(self, content: Any, file: str) -> None:
        self._content, self._file = memoryview(content), file
        self.size, self.position = len(self._content), 0

    def error(self, what: str, found: str, remedy: str) -> LmspecError:
        """what: the setting or tensor; empty for the file."""
        return LmspecError(f"{self._file}, {what}" if what else self._file, found, remedy)

    def take(self, size: int, what: str) -> memoryview:
        """The next bytes."""
        end = self.position + size
        if end > self.size:
            raise self.error("", f"it is cut short at byte {self.size:,}, within {what}", WHOLE)
        taken = self._content[self.position : end]
        self.position = end
        return taken

    def numbers(self, kind: int, count: int, what: str) -> list[Any]:
        """Numbers of one kind."""
        dtype = np.dtype(NUMBERS[kind])
        values: list[Any] = np.frombuffer(self.take(count * dtype.itemsize, what), dtype).tolist()
        return values

    def number(self, kind: int, what: str) -> Any:
        """One of them."""
        return self.numbers(kind, 1, what)[0]

    def text(self, what: str) -> str:
        """Its length, and its bytes."""
        content = bytes(self.take(int.from_bytes(self.take(8, what), "little"), what))
        try:
            return content.decode()
        except UnicodeDecodeError:
            found = f"{what} is not UTF-8 near byte {self.position:,}"
            raise self.error("", found, WHOLE) from None

    def value(self, kind: int, what: str) -> Any:
        """A setting."""
        if kind in NUMBERS:
            return self.number(kind, what)
        if kind == STRING:
            return self.text(what)
        if kind == ARRAY:
            kind, count = self.number(U32, what), self.number(U64, what)
            if kind in NUMBERS:
                return self.numbers(kind, count, what)
            if kind == STRING:
                return [self.text(what) for _ in range(count)]
        raise self.error(what, f"it is of kind {kind}, which is not read", WHOLE)

    def tensor(self, name: str) -> Stored:
        """Shape, kind and place, the latter from the first byte of all tensors."""
        dimensions = self.number(U32, name)
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.error(name, f"it has {dimensions:,} dimensions", WHOLE)
        shape = tuple(reversed(self.numbers(U64, dimensions, name)))
        number, start = self.number(U32, name), self.number(U64, name)
        try:
            kind = GGMLQuantizationType(number)
        except ValueError:
            found = f"its numbers are of kind {number}, which the package `gguf` does not know"
            raise self.error(name, found, OTHER) from None
        if shape[-1] % GGML_QUANT_SIZES[kind][0]:
            found = f"its rows of {shape[-1]:,} are no whole blocks of {kind.name}"
            raise self.error(name, found, WHOLE)
        return Stored(shape, kind, start)

    def require_new(self, name: str, names: Mapping[str, Any]) -> None:
        """Raise LmspecError if one of them has that name."""
        if name in names:
            raise self.error(name, "it is there twice", WHOLE)
