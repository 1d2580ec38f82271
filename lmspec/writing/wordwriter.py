"""wordwriter: a prompt as words, each with the tokens by which a model that writes reads it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmspec.methods.reading import Ids
from lmspec.methods.wordreader import Words, owned
from lmspec.writing.growing import GrowingText
from lmspec.writing.prompting import PLAIN, USER, PromptError, TooLong, Turn, Writer

FILLER = " "


@dataclass(frozen=True)
class Prompt(Words):
    """The words of the last prompt of a user; the template, the system's words and earlier turns
    are of no word.

    answer     (t,) tokens that may follow it, with the end if it is among them
    reference  the text that should follow; empty if none is known
    """

    answer: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    reference: str = ""


@dataclass(frozen=True)
class WithSpecial:
    """A tokenizer in whose texts special tokens are seen."""

    tokenizer: Any

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))


class WordWriter(Writer):
    """Encodes as a model that writes was trained, and keeps which tokens are of which word."""

    @property
    def filler_id(self) -> int:
        """The token that stands for a word that is taken away: white space, as no model that writes
        has a mask; the end, if the tokenizer has no token for it."""
        ids = self._content(FILLER)
        return int(ids[0]) if len(ids) == 1 else self.end_id

    def words(self, turns: Sequence[Turn]) -> Prompt:
        """The prompt before the last answer.

        Raises PromptError if the turns do not suit the template, or it is that of plain text.
        """
        if self.kind == PLAIN:
            raise PromptError("plain text has no prompts", "write how one is shown: `prompt`")
        before = turns[:-1] if turns and turns[-1][0] != USER else turns
        parts = list(self._parts(before))
        pieces = self._cut(parts)
        last = max(i for i, part in enumerate(parts) if part.may_be_cut)
        content = parts[last].text
        encoding = self._contents.encode(content, add_special_tokens=False)
        found, owners = owned(content, np.array(encoding.offsets, np.int64).reshape(-1, 2))
        owners = owners[len(owners) - len(pieces[last]) :]  # long prompts lose their beginning
        read = np.unique(owners[owners >= 0])
        number = np.full(len(found) + 1, -1, np.int64)  # the last one: of no word
        number[read] = np.arange(len(read))
        places = [np.full(len(ids), -1, np.int64) for ids in pieces]
        places[last] = number[owners]
        return Prompt(
            content,
            tuple(found[i] for i in read),
            (np.concatenate(pieces),),
            (np.concatenate(places),),
        )

    def answer(self, turns: Sequence[Turn]) -> Ids:
        """(t,) tokens of the last turn and its end, whatever their number.

        Raises PromptError if that is no answer.
        """
        unlimited = Writer(self._contents, self.prompt, sys.maxsize, "leave_out")
        example = unlimited.example(turns)
        assert not isinstance(example, TooLong)
        found: Ids = example[0][len(unlimited.prompt_ids(turns)) :]
        return found

    def pieces(self, ids: Ids) -> list[str]:
        """(t,) what each token adds to their text, special ones, too.

        Of several that make one character only the last one adds it: the others have "".
        """
        growing = GrowingText(WithSpecial(self.tokenizer), ())
        found = [growing.add(int(number))[0] for number in ids]
        if found:
            found[-1] += growing.rest()
        return found
