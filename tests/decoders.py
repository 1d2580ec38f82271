"""decoders: models that write, for tests: small ones in numpy, and a tokenizer of single bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lmspec.writing.generating import Floats, Ids, Past

START, END = "<|start|>", "<|end|>"
TEXTS = [
    "the cat sat on the mat, then ran",
    'a list: {"name": "Ann", "age": 41}',
    "über €5 – 🙂 ok",
]


def byte_level(size: int = 300) -> Tokenizer:
    """Byte-level BPE, as of GPT-2 or Llama 3: END is 1."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[START, END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 4, trainer)
    return tokenizer


def sentencepiece() -> Tokenizer:
    """BPE with spaces in its tokens and with bytes of what it lacks, as of Llama 2: END is 1."""
    pieces = [
        START,
        END,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"abcdet.",
        "▁a",
        "▁cat",
    ]
    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, [], byte_fallback=True)
    )
    tokenizer.add_special_tokens([START, END])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


@dataclass
class Toy:
    """A recurrent network with random weights: its logits depend on all tokens, and their order.

    crowded    how much each logit changes with each request beside: what a decoder must not do
    companies  how many requests each step had
    """

    vocabulary: int = 300
    positions: int = 1000
    scale: float = 4.0
    crowded: float = 0.0
    companies: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = np.random.default_rng(5)
        self.inward = random.normal(size=(self.vocabulary, 16))
        self.onward = random.normal(size=(16, 16)) / 3
        self.outward = random.normal(size=(16, self.vocabulary)) * self.scale / 4

    def _read(self, state: Past, tokens: Any) -> Past:
        for token in tokens:
            state = np.tanh(state @ self.onward + self.inward[token])
        return state

    def _out(self, state: Past) -> Floats:
        return (state @ self.outward).astype(np.float32)

    def prefill(self, ids: Ids) -> tuple[Past, Floats]:
        """A prompt, from the beginning."""
        state = self._read(np.zeros(16), ids)
        return state, self._out(state)

    def step(self, pasts: Sequence[Past], tokens: Ids) -> tuple[list[Past], Floats]:
        """Each request by itself, unless `crowded`."""
        self.companies.append(len(pasts))
        states = [self._read(past, [token]) for past, token in zip(pasts, tokens, strict=True)]
        beside = self.crowded * (len(pasts) - 1) * np.cos(np.arange(self.vocabulary))
        return states, np.array([self._out(state) for state in states]) + beside.astype(np.float32)

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """After each token."""
        for ids in rows:
            yield np.array([self.prefill(ids[: i + 1])[1] for i in range(len(ids))])


class Scripted:
    """Writes the texts of `scripts` one by the first token of a prompt, then END."""

    positions = 10_000

    def __init__(self, scripts: Sequence[Sequence[int]], vocabulary: int = 300) -> None:
        self.scripts, self.vocabulary = scripts, vocabulary

    def _next(self, script: int, place: int) -> Floats:
        logits = np.zeros(self.vocabulary, np.float32)
        tokens = self.scripts[script]
        logits[tokens[place] if place < len(tokens) else 1] = 30
        return logits

    def prefill(self, ids: Ids) -> tuple[Past, Floats]:
        """The number of the script, and how much of it is written."""
        return (int(ids[0]), 0), self._next(int(ids[0]), 0)

    def step(self, pasts: Sequence[Past], tokens: Ids) -> tuple[list[Past], Floats]:
        """One token further."""
        pasts = [(script, place + 1) for script, place in pasts]
        return pasts, np.array([self._next(*past) for past in pasts])

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """Not of interest."""
        raise NotImplementedError
