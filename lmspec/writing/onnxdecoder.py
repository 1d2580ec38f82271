"""onnxdecoder: a graph with a cache decodes, in onnxruntime on the CPU.

A bundle has a copy of this file, so it imports nothing of lmspec.

A prompt is read alone and without padding. In a step each row has its own length: its past is
padded on the right, and attention reads of it what is there, so that its bits do not depend on
those beside it. Keys and values have buffers that stay in their place: where the past that a graph
is given and the one that it gives are the same memory, attention adds to it and copies nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
IDS, MASK, KEEP, LOGITS = "input_ids", "attention_mask", "logits_to_keep", "logits"
PAST = "past_key_values."
CHUNK = 512  # tokens that are read at once: attention scores of all pairs are kept meanwhile
ROOM = 64  # tokens: memory for so many more, or for a quarter more, before all is copied
ALL = 2**31 - 1
Arrays = list[ort.OrtValue]  # of each layer the keys and the values, (b, heads, p, d)


class Company:
    """Rows that take their steps together.

    buffers  of each layer the keys and the values, (b, heads, room, d)
    lengths  (b,) tokens that they have of each row
    binding  of the session to them
    """

    def __init__(self, decoder: "OnnxDecoder", rows: int, tokens: int) -> None:
        self.buffers, self.binding = decoder.bound(rows, tokens)
        self.lengths = [0] * rows

    @property
    def room(self) -> int:
        """Tokens of a row for which there is memory."""
        return int(self.buffers[0].shape[2])


@dataclass(frozen=True)
class Past:
    """Of one row: its place in a company, and how many tokens it has."""

    company: Company
    place: int
    length: int


class OnnxDecoder:
    """A `Decoder` of generating.py.

    file       model.onnx, its weights beside it
    positions  how many tokens it can read, at most
    Raises what onnxruntime does if the file is no such graph, ValueError if its inputs are others.
    """

    def __init__(self, file: Path, positions: int, threads: int) -> None:
        self.positions = positions
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # how long a thread looks for work before it sleeps: as lmspec/formats/graph.py has it
        options.add_session_config_entry("session.intra_op.spin_duration_us", "100")
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self.session = ort.InferenceSession(str(file), options, providers=providers)
        inputs = {value.name: value.shape for value in self.session.get_inputs()}
        self._pasts = [name for name in inputs if name.startswith(PAST)]
        if not self._pasts or {IDS, MASK} != {*inputs} - {*self._pasts}:
            raise ValueError(f"its inputs are {', '.join(inputs)}")
        outputs = self.session.get_outputs()
        self._outputs = [value.name for value in outputs]
        self._presents = self._outputs[1:]
        self.vocabulary = int(outputs[0].shape[-1])
        _, self._heads, _, self._width = inputs[self._pasts[0]]

    def prefill(self, ids: Ids) -> tuple[Past, Floats]:
        """(t,) tokens of one request -> its past, and the logits (V,) after the last of them."""
        company = Company(self, 1, len(ids))
        *_, logits = self._read(ids, company, 1)
        return Past(company, 0, len(ids)), logits[0, -1]

    def step(self, pasts: Sequence[Past], tokens: Ids) -> tuple[list[Past], Floats]:
        """One more token (b,) of each of b requests -> their pasts, and the logits (b, V)."""
        company = self._together(pasts)
        company.lengths = [past.length + 1 for past in pasts]
        lengths = np.array(company.lengths)
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.asarray(tokens, np.int64)[:, None]
        logits = self._run_bound(company, ids, mask.astype(np.int64), 1)
        found = [Past(company, *each) for each in enumerate(company.lengths)]
        return found, logits[:, -1]

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """(t, V) of each row in order, after each of its t tokens."""
        for ids in rows:
            company = Company(self, 1, len(ids))
            yield np.concatenate([logits[0] for logits in self._read(ids, company, ALL)])

    def run(
        self, ids: Ids, mask: Ids, past: Arrays | None = None, keep: int = ALL
    ) -> tuple[Floats, Arrays]:
        """New tokens (b, s) of a mask (b, t) after a past -> logits (b, s, V), the past after them.

        All of it is copied, as by programs that know nothing of buffers.
        keep  of how many of the last tokens logits are wanted
        """
        arrays = self._nothing(len(ids)) if past is None else past
        feeds = {IDS: ids, MASK: mask, KEEP: np.array([keep], np.int64)}
        values = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in feeds.items()}
        values |= zip(self._pasts, arrays, strict=True)
        logits, *present = self.session.run_with_ort_values(self._outputs, values)
        return logits.numpy(), present

    def bound(self, rows: int, tokens: int) -> tuple[list[Floats], ort.IOBinding]:
        """Buffers of so many rows with room for so many tokens and more, and a session bound to
        them."""
        room = max(tokens, min(tokens + max(ROOM, tokens // 4), self.positions))
        shape = rows, self._heads, room, self._width
        buffers: list[Floats] = [np.zeros(shape, np.float32) for _ in self._pasts]
        binding = self.session.io_binding()
        for past, present, buffer in zip(self._pasts, self._presents, buffers, strict=True):
            binding.bind_input(past, *_place(buffer))
            binding.bind_output(present, *_place(buffer))
        return buffers, binding

    def _run_bound(self, company: Company, ids: Ids, mask: Ids, keep: int) -> Floats:
        """New tokens (b, s) of a mask (b, t) -> the logits (b, kept, V); their keys and values are
        added to the company's."""
        kept = np.array([keep], np.int64)
        logits = np.empty((*ids[:, -keep:].shape, self.vocabulary), np.float32)
        ids = np.ascontiguousarray(ids)
        for name, value in ((IDS, ids), (MASK, mask), (KEEP, kept)):
            company.binding.bind_input(name, *_place(value))
        company.binding.bind_output(LOGITS, *_place(logits))
        self.session.run_with_iobinding(company.binding)
        return logits

    def _read(self, ids: Ids, company: Company, keep: int) -> Iterator[Floats]:
        """Tokens (t,) of the one row of a company, part by part: logits (1, s, V) of each."""
        ids = np.asarray(ids, np.int64)
        for start in range(0, len(ids), CHUNK):
            part = ids[None, start : start + CHUNK]
            mask = np.ones((1, start + part.shape[1]), np.int64)
            logits = self._run_bound(company, part, mask, keep)
            company.lengths = [mask.shape[1]]
            yield logits

    def _together(self, pasts: Sequence[Past]) -> Company:
        """The company of a step: the one that there is, without a copy, while it stays as it is,
        has room for one more token, and has no later token of a row."""
        company = pasts[0].company
        places = [past.place for past in pasts if past.company is company]
        lengths = [past.length for past in pasts]
        if (
            places == list(range(len(pasts)))
            and lengths == company.lengths
            and max(lengths) < company.room
        ):
            return company
        joined = Company(self, len(pasts), max(lengths) + 1)
        for row, past in enumerate(pasts):
            for new, old in zip(joined.buffers, past.company.buffers, strict=True):
                new[row, :, : past.length] = old[past.place, :, : past.length]
        return joined

    def _nothing(self, rows: int) -> Arrays:
        """The past of rows that have none."""
        empty = np.zeros((rows, self._heads, 0, self._width), np.float32)
        return [ort.OrtValue.ortvalue_from_numpy(empty) for _ in self._pasts]


def _place(value: NDArray[Any]) -> tuple[str, int, Any, tuple[int, ...], int]:
    """Of an array, as a binding wants it; the array has to live as long."""
    return "cpu", 0, value.dtype.type, value.shape, value.ctypes.data
