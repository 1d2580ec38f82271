"""onnxdecoder: a graph with a cache decodes, in onnxruntime on the CPU.

A bundle has a copy of this file, so it imports nothing of lmspec.

A prompt is read alone and without padding. In a step each row has its own length: its past is
padded on the right, and attention reads of it what is there, so that its bits do not depend on
those beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
IDS, MASK, KEEP, LOGITS = "input_ids", "attention_mask", "logits_to_keep", "logits"
PAST = "past_key_values."
CHUNK = 512  # tokens that are read at once: attention scores of all pairs are kept meanwhile
ALL = 2**31 - 1
Arrays = list[ort.OrtValue]  # of each layer the keys and the values, (b, heads, p, d)


@dataclass(frozen=True)
class Company:
    """Rows that took their last step together.

    arrays   their pasts, each padded on the right
    lengths  tokens of each
    """

    arrays: Arrays
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Past:
    """Of one row: its place in a company."""

    company: Company
    place: int

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return self.company.lengths[self.place]


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
        self.vocabulary = int(outputs[0].shape[-1])
        _, self._heads, _, self._width = inputs[self._pasts[0]]

    def prefill(self, ids: Ids) -> tuple[Past, Floats]:
        """(t,) tokens of one request -> its past, and the logits (V,) after the last of them."""
        *_, (logits, arrays) = self._read(ids, 1)
        return Past(Company(arrays, (len(ids),)), 0), logits[0, -1]

    def step(self, pasts: Sequence[Past], tokens: Ids) -> tuple[list[Past], Floats]:
        """One more token (b,) of each of b requests -> their pasts, and the logits (b, V)."""
        lengths = tuple(past.length + 1 for past in pasts)
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        ids = np.asarray(tokens, np.int64)[:, None]
        logits, arrays = self.run(ids, mask.astype(np.int64), self._together(pasts))
        company = Company(arrays, lengths)
        return [Past(company, place) for place in range(len(pasts))], logits[:, -1]

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """(t, V) of each row in order, after each of its t tokens."""
        for ids in rows:
            yield np.concatenate([logits[0] for logits, _ in self._read(ids, ALL)])

    def run(
        self, ids: Ids, mask: Ids, past: Arrays | None = None, keep: int = ALL
    ) -> tuple[Floats, Arrays]:
        """New tokens (b, s) of a mask (b, t) after a past -> logits (b, s, V), the past after them.

        keep  of how many of the last tokens logits are wanted
        """
        arrays = self._nothing(len(ids)) if past is None else past
        feeds = {IDS: ids, MASK: mask, KEEP: np.array([keep], np.int64)}
        values = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in feeds.items()}
        values |= zip(self._pasts, arrays, strict=True)
        logits, *present = self.session.run_with_ort_values(self._outputs, values)
        return logits.numpy(), present

    def _read(self, ids: Ids, keep: int) -> Iterator[tuple[Floats, Arrays]]:
        """Tokens (t,) of one row, part by part: logits (1, s, V) and the past after each."""
        past, ids = None, np.asarray(ids, np.int64)
        for start in range(0, len(ids), CHUNK):
            part = ids[None, start : start + CHUNK]
            mask = np.ones((1, start + part.shape[1]), np.int64)
            logits, past = self.run(part, mask, past, keep)
            yield logits, past

    def _together(self, pasts: Sequence[Past]) -> Arrays:
        """The pasts of a step, without a copy while the company stays as it is."""
        company = pasts[0].company
        places = [past.place for past in pasts if past.company is company]
        if places == list(range(len(company.lengths))) and len(pasts) == len(places):
            return company.arrays
        longest = max(past.length for past in pasts)
        shape = len(pasts), self._heads, longest, self._width
        joined = []
        for number in range(len(self._pasts)):
            whole = np.zeros(shape, np.float32)
            parts: dict[int, Floats] = {}
            for row, past in enumerate(pasts):
                key = id(past.company)
                if key not in parts:
                    parts[key] = past.company.arrays[number].numpy()
                whole[row, :, : past.length] = parts[key][past.place, :, : past.length]
            joined.append(ort.OrtValue.ortvalue_from_numpy(whole))
        return joined

    def _nothing(self, rows: int) -> Arrays:
        """The past of rows that have none."""
        empty = np.zeros((rows, self._heads, 0, self._width), np.float32)
        return [ort.OrtValue.ortvalue_from_numpy(empty) for _ in self._pasts]
