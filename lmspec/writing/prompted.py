"""prompted: how likely an answer is while only some words of its prompt are kept."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmspec.errors import LmspecError
from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Bools, Coalitions, without
from lmspec.methods.reading import Floats, Ids
from lmspec.methods.subject import Answer
from lmspec.methods.wordreader import Words
from lmspec.specs.explained import Answers
from lmspec.writing.answers import WORST_TOKEN
from lmspec.writing.generating import Decoder, Request, texts
from lmspec.writing.prompting import ASSISTANT, PromptError, Turn
from lmspec.writing.wordwriter import Prompt, WordWriter

ANSWER = "answer"  # the one "label" of a model that writes


class Prompted(Coalitions):
    """The answer is the one label there is: (m, 1) nats per token of it, at most 0.

    filler_id  takes the place of each token of a word that is taken away
    leave_out  takes nothing its place?
    """

    words: Prompt

    def __init__(self, decoder: Decoder, words: Prompt, filler_id: int, leave_out: bool) -> None:
        self.decoder, self.words, self.filler_id = decoder, words, filler_id
        self.mask_id = None if leave_out else filler_id
        self._known: dict[bytes, Floats] = {}
        self._nats: dict[bytes, Floats] = {}

    def lost(self) -> Floats:
        """(t, n) nats that each token of the answer loses without each word of the prompt."""
        words = len(self.words)
        kept = np.vstack([np.ones(words, bool), ~np.eye(words, dtype=bool)])
        self(kept)
        found = np.stack([self._nats[row.tobytes()] for row in kept])  # (1 + n, t)
        result: Floats = (found[0] - found[1:]).T
        return result

    def _window(self, number: int, kept: Bools) -> Ids:
        """Token ids of the prompt; of one of which nothing is left, one that says nothing."""
        ids, place = self.words.ids[number], self.words.places[number]
        left = without(ids, (place >= 0) & ~kept[place], self.mask_id)
        return left if len(left) else np.array([self.filler_id], np.int64)

    def _predicted(self, kept: Sequence[Bools]) -> Floats:
        answer = self.words.answer
        prompts = [self._window(0, row) for row in kept]
        rows = [np.concatenate([prompt, answer]) for prompt in prompts]
        for row, prompt, logits in zip(kept, prompts, self.decoder.logits(rows), strict=True):
            self._nats[row.tobytes()] = likelihoods(logits[len(prompt) - 1 : -1], answer)
        return np.stack([self._nats[row.tobytes()].mean(keepdims=True) for row in kept])


def likelihoods(logits: Any, ids: Ids) -> Floats:
    """(t,) log probability of tokens (t,), by the logits (t, V) before each."""
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    found: Floats = wide[np.arange(len(ids)), ids] - np.log(np.exp(wide).sum(-1))
    return found


@dataclass(frozen=True)
class Prompts:
    """A model that writes, whose answers are explained: an `Explainable` of methods/subject.py.

    writer     encodes as it was trained
    answers    which are explained
    leave_out  as of Prompted
    most       nats that a token can lose
    """

    decoder: Decoder
    writer: WordWriter
    answers: Answers
    leave_out: bool
    attribution: Attribution
    labels: tuple[str, ...] = (ANSWER,)
    most: float = WORST_TOKEN

    def words(self, row: Mapping[str, Any]) -> Prompt:
        """Those of its last prompt, with the answer; none if there is no room for any.

        Raises LmspecError if its turns do not suit the template of the model.
        """
        turns = [(turn["role"], turn["content"]) for turn in row["turns"] or ()]
        try:
            prompt = self.writer.words(turns)
            return dataclasses.replace(prompt, **self._answer(turns, prompt.ids[0]))
        except PromptError as error:
            raise LmspecError("architecture.prompt", error.found, error.remedy) from error

    def _answer(self, turns: Sequence[Turn], prompt: Ids) -> dict[str, Any]:
        """Fields of a Prompt."""
        room = max(0, self.decoder.positions - len(prompt))
        tokens = min(room, self.answers.tokens)
        if not tokens:
            return {"spans": ()}
        if self.answers.text == "reference":
            return {"answer": self.writer.answer(turns)[:tokens]}
        request = Request(prompt, tokens)
        ends = [self.writer.end_id]
        (written,) = texts(self.decoder, [request], self.writer.tokenizer, ends, slots=1)
        reference = turns[-1][1] if turns[-1][0] == ASSISTANT else ""
        same = reference.split() == written.text.split()
        return {"answer": written.ids, "reference": "" if same else reference}

    def text(self, words: Words) -> Prompted:
        """A prompt, to be asked about."""
        assert isinstance(words, Prompt)
        return Prompted(self.decoder, words, self.writer.filler_id, self.leave_out)

    def probability(self, value: float) -> float:
        """Of a token of the answer, the geometric mean."""
        return float(np.exp(value))

    def answer(self, text: Coalitions) -> Answer:
        """The answer, token by token."""
        assert isinstance(text, Prompted)
        ids = text.words.answer
        digest = hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest()[:8]
        return Answer(digest, self.writer.pieces(ids), text.lost(), text.words.reference)
