"""subject: what explanations need of a model or graph: answers, words, and a method for it."""

from dataclasses import dataclass

from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.predicting import Predictor
from lmspec.methods.wordreader import WordReader, Words


@dataclass(frozen=True)
class Subject:
    """A model whose answers are explained.

    mask_id      takes the place of a token that is taken away; None: nothing does
    attribution  gives each word of a text its share
    """

    predictor: Predictor
    reader: WordReader
    mask_id: int | None
    batch_size: int
    attribution: Attribution

    def text(self, words: Words) -> Coalitions:
        """A text, to be asked about."""
        return Coalitions(self.predictor, words, self.mask_id, self.batch_size)
