"""subject: what explanations need of a model or graph: answers, words, and a method for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Floats
from lmspec.methods.wordreader import WordReader, Words

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a model writes to a prompt.

    digest     of its tokens: explanations of different answers cannot be compared
    tokens     (t,) their texts; of those that make one character together, the last one's
    lost       (t, n) nats: log probability that each loses without each word of the prompt
    reference  what it should be; empty if that is not known, or is the answer
    """

    digest: str
    tokens: Sequence[str]
    lost: Floats
    reference: str


class Explainable(Protocol):
    """A model whose answers are explained."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it tells apart."""

    @property
    def most(self) -> float:
        """What a label can lose at most."""

    @property
    def attribution(self) -> Attribution:
        """Gives each word of a text its weight."""

    def words(self, row: Row) -> Words:
        """Those that it reads of a row of documents."""

    def text(self, words: Words) -> Coalitions:
        """A text, to be asked about."""

    def probability(self, value: float) -> float:
        """Of a label, whose value a text gives."""

    def answer(self, text: Coalitions) -> Answer | None:
        """What it writes; None of a model that tells labels apart."""


@dataclass(frozen=True)
class Subject:
    """A model that tells labels apart.

    mask_id      takes the place of a token that is taken away; None: nothing does
    attribution  gives each word of a text its share
    most         that a probability can lose
    """

    predictor: Predictor
    reader: WordReader
    mask_id: int | None
    batch_size: int
    attribution: Attribution
    most: float = 1.0

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.predictor.labels

    def words(self, row: Row) -> Words:
        """Those of its text."""
        return self.reader.words(row["text"])

    def text(self, words: Words) -> Coalitions:
        """A text, to be asked about."""
        return Coalitions(self.predictor, words, self.mask_id, self.batch_size)

    def probability(self, value: float) -> float:
        """The value is one."""
        return value

    def answer(self, text: Coalitions) -> None:
        """It writes nothing."""
