"""wordreader: a text as words, each with the tokens by which a model reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmspec.methods import concordance
from lmspec.methods.reading import Ids, Reader
from lmspec.methods.wordspans import Span, spans

MASKS = ("[MASK]", "<mask>")  # of BERT and RoBERTa, and their kin


@dataclass(frozen=True)
class Words:
    """The words of a text that a model reads: those beyond its length are left out.

    spans   (start, end) of each in the text; several that share a token are one
    ids     token ids of each window; none of a model of n-grams
    places  of each window: (t,) number of the word of each token, -1 of none, such as [CLS]
    """

    text: str
    spans: tuple[Span, ...]
    ids: tuple[Ids, ...] = ()
    places: tuple[Ids, ...] = ()

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def cut(self) -> str:
        """Hash of where the words are: explanations of other words cannot be compared."""
        return concordance.cut(self.spans)

    def __getitem__(self, number: int) -> str:
        start, end = self.spans[number]
        return self.text[start:end]


class WordReader(Reader):
    """Reads as scores do, and keeps which tokens are of which word."""

    @property
    def mask_id(self) -> int | None:
        """The token that encoders are pretrained to guess behind; None if there is none."""
        if not self.is_of_tokens or self.beside_ngrams:
            return None
        found = map(self._tokenizer.token_to_id, MASKS)
        return next((number for number in found if number is not None), None)

    def words(self, text: str) -> Words:
        """A text as words."""
        if not self.is_of_tokens or self.beside_ngrams:
            return Words(text, tuple(spans(text)))
        encoding = self._tokenizer.encode(text)
        found, owners = owned(text, np.array(encoding.offsets, np.int64).reshape(-1, 2))
        whole = np.arange(len(owners))
        windows = [whole]
        if self.max_length is not None and len(whole) > self.max_length:
            windows, _ = self._parts(whole)
        read = np.unique(owners[np.concatenate(windows)])
        read = read[read >= 0]
        number = np.full(len(found) + 1, -1, np.int64)  # the last one: of no word
        number[read] = np.arange(len(read))
        ids = np.asarray(encoding.ids, np.int64)
        return Words(
            text,
            tuple(found[i] for i in read),
            tuple(ids[window] for window in windows),
            tuple(number[owners[window]] for window in windows),
        )


def owned(text: str, offsets: Ids) -> tuple[list[Span], Ids]:
    """The words of a text, of which those that share a token are one, and of which (t,) each token
    is; -1 of none.

    offsets  (t, 2) characters of each token; special ones have none
    """
    found = spans(text)
    found, touched = _merged(found, _touched(found, offsets))
    return found, np.array([first if first < end else -1 for first, end in touched], np.int64)


def _touched(words: Sequence[Span], offsets: Ids) -> list[tuple[int, int]]:
    """(first, one after the last) of the words of which each token reads a character.

    offsets  (t, 2) characters of each token; special ones have none
    """
    starts, ends = np.array(words, np.int64).reshape(-1, 2).T
    first = np.searchsorted(ends, offsets[:, 0], "right")
    end = np.searchsorted(starts, offsets[:, 1], "left")
    end = np.where(offsets[:, 1] > offsets[:, 0], np.maximum(first, end), first)
    return list(zip(first.tolist(), end.tolist(), strict=True))


def _merged(
    words: Sequence[Span], touched: Sequence[tuple[int, int]]
) -> tuple[list[Span], list[tuple[int, int]]]:
    """Words, of which those that share a token are one, and what each token touches of these."""
    joined = np.zeros(len(words), bool)  # with the word before
    for first, end in touched:
        joined[first + 1 : end] = True
    number = np.cumsum(~joined) - 1  # (words,) of each, after
    merged: list[Any] = []
    for (start, end), with_before in zip(words, joined, strict=True):
        if with_before:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    moved = [
        (int(number[first]), int(number[first]) + 1) if first < end else (0, 0)
        for first, end in touched
    ]
    return merged, moved
