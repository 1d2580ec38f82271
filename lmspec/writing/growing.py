"""growing: tokens -> text as it grows: what is certain of it so far, up to a stop string.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

from collections.abc import Sequence
from typing import Protocol

UNFINISHED = "\ufffd"  # what a decoder writes for the first bytes of a character
WINDOW = 64  # tokens: to decode all of a long text after each token takes quadratic time


class Tokenizer(Protocol):
    """One of the package `tokenizers`."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens; special ones have none."""


class GrowingText:
    """What tokens say so far.

    Held back is what may yet change: the first bytes of a character, and the beginning of a stop
    string, which the text does not have. What is given out stays, also where a decoder would take
    it back: with byte fallback, a wrong byte makes U+FFFD of all bytes before it.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]) -> None:
        self._tokenizer, self._stop = tokenizer, stop
        self._ids: list[int] = []  # the last ones: enough to decode the next one as in the whole
        self._given = 0  # characters of their text that are given out
        self._held = ""

    def add(self, token: int) -> tuple[str, bool]:
        """One more token -> (what is certain now and was not before, whether a stop string follows
        it, which ends the text)."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        new = text[self._given :]
        whole = new.rstrip(UNFINISHED)
        found = [at for at in map(whole.find, self._stop) if at >= 0]
        if found:
            return whole[: min(found)], True
        certain = whole[: len(whole) - self._begun(whole)]
        self._given += len(certain)
        self._held = new[len(certain) :]
        if len(self._ids) >= 2 * WINDOW:
            self._forget(text)
        return certain, False

    def rest(self) -> str:
        """What is held back, if no token follows."""
        return self._held

    def _begun(self, text: str) -> int:
        """Characters at the end of a text with which a stop string begins."""
        most = min(len(text), max(map(len, self._stop), default=1) - 1)
        ends = (text[len(text) - count :] for count in range(most, 0, -1))
        return next((len(end) for end in ends if any(s.startswith(end) for s in self._stop)), 0)

    def _forget(self, text: str) -> None:
        """Drop the first tokens, if the others say the same without them.

        At the beginning of a text some decoders drop a space; in the middle of a character no text
        begins. Then the next token has another try, from another place.
        """
        tail = self._tokenizer.decode(self._ids[-WINDOW:])
        lost = len(text) - len(tail)
        if tail and text.endswith(tail) and lost <= self._given:
            self._ids = self._ids[-WINDOW:]
            self._given -= lost
