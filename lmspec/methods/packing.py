"""packing: the token ids of many windows in one array, in memory or mapped from a file."""

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lmspec.methods.reading import Ids, Keep, Reader

IN_MEMORY = 2**26  # bytes; what is beyond is mapped, and the system keeps of it what fits
AT_ONCE = 2**18  # ids that are collected before they are packed

Values = NDArray[Any]  # int32, or int64 for ids that are larger


class Packed(Sequence[Ids]):
    """Windows as a list of arrays would have them, each copied when it is asked for.

    values          (n,) the ids of all
    first, lengths  (w,) where each window begins in them, and how long it is
    """

    def __init__(self, values: Values, first: Ids, lengths: Ids) -> None:
        self.values, self.first, self.lengths = values, first, lengths

    def __len__(self) -> int:
        return len(self.first)

    @overload
    def __getitem__(self, row: int) -> Ids: ...
    @overload
    def __getitem__(self, row: slice) -> "Packed": ...
    def __getitem__(self, row: int | slice) -> "Ids | Packed":
        if isinstance(row, slice):
            return Packed(self.values, self.first[row], self.lengths[row])
        start = self.first[row]
        return self.values[start : start + self.lengths[row]].astype(np.int64)


def of(reader: Reader) -> Keep:
    """How the windows that it reads are kept."""
    # numbers of n-grams can be larger than an int32
    only_tokens = reader.is_of_tokens and not reader.beside_ngrams
    return partial(packed, kind=np.int32 if only_tokens else np.int64)


def taken(ids: Sequence[Ids], rows: Sequence[int]) -> Sequence[Ids]:
    """Some of the windows, in that order; of packed ones without a copy."""
    if not isinstance(ids, Packed):
        return [ids[row] for row in rows]
    return Packed(ids.values, ids.first[rows], ids.lengths[rows])


def packed(windows: Iterable[Ids], kind: type[np.integer[Any]] = np.int32) -> Packed:
    """The windows, gone through once. kind: of integers, in which every id fits.

    What is larger than IN_MEMORY is in a file without a name in the folder for temporary files: it
    goes when the array goes. Raises OSError if there is no room for it.
    """
    lengths = array("q")
    blocks: list[Values] = []
    size = 0
    with tempfile.TemporaryFile() as file:
        for block in _blocks(windows, lengths, kind):
            size += block.nbytes
            blocks.append(block)
            if size > IN_MEMORY:
                for each in blocks:
                    file.write(each.data)
                blocks.clear()
        file.flush()
        if size > IN_MEMORY:
            values = np.memmap(file, kind, "r").view(np.ndarray)
        else:
            values = np.concatenate([np.empty(0, kind), *blocks])
    lengths_of = np.array(lengths, np.int64)
    return Packed(values, np.cumsum(lengths_of) - lengths_of, lengths_of)


def _blocks(windows: Iterable[Ids], lengths: "array[int]", kind: type[Any]) -> Iterator[Values]:
    """Ids of many windows at once; notes the length of each."""
    waiting: list[Ids] = []
    count = 0
    for window in windows:
        lengths.append(len(window))
        waiting.append(window)
        count += len(window)
        if count >= AT_ONCE:
            yield np.concatenate(waiting).astype(kind)
            waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting).astype(kind)
