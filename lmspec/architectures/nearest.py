"""nearest: the answer of the training prompt that has most in common: what a model must beat."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmspec.methods import tfidf
from lmspec.methods.ngrams import NgramTokenizer, Orders

AT_ONCE = 2**25  # similarities in memory: of so many pairs of prompts
EDGE = ".,:;!?"  # of a prompt's first word, which an answer has without


class _Words(NamedTuple):
    """N-grams of words, all of them."""

    word_ngrams: Orders
    char_ngrams: Orders = None
    min_documents: int = 1
    max_features: int = 10**9


@dataclass(frozen=True)
class Nearest:
    """Prompts and their answers, in the order of the rows' ids.

    words    shortest and longest n-grams of words that are compared
    swaps    the first word of a prompt is put in place of the nearest one's, in its answer
    spaced   of a first word with a hyphen, answers mostly have its parts with a space: `git-log`
             is `git log`
    """

    prompts: Sequence[str]
    answers: Sequence[str]
    words: tuple[int, int]
    swaps: bool
    spaced: bool
    _known: tuple[NgramTokenizer, NDArray[np.float32]] = field(init=False, repr=False)
    _matrix: Any = field(init=False, repr=False)  # (n, v)

    def __post_init__(self) -> None:
        known = tfidf.learned(self.prompts, _Words(self.words))
        object.__setattr__(self, "_known", known)
        object.__setattr__(self, "_matrix", self._weighted(self.prompts))

    def answered(self, prompts: Sequence[str]) -> list[str]:
        """An answer to each: that of the prompt with the largest cosine, of equals the first."""
        found = zip(prompts, self._found(prompts), strict=True)
        return [self._answer(prompt, place) for prompt, place in found]

    def _found(self, prompts: Sequence[str]) -> Iterator[int]:
        size = max(1, AT_ONCE // len(self.prompts))
        for start in range(0, len(prompts), size):
            part = self._weighted(prompts[start : start + size])
            cosine = (part @ self._matrix.T).toarray()  # (b, n)
            yield from map(int, cosine.argmax(1))

    def _answer(self, prompt: str, nearest: int) -> str:
        answer = self.answers[nearest]
        own, theirs = first_word(prompt), first_word(self.prompts[nearest])
        if not self.swaps or not own or not theirs:
            return answer
        own = own.replace("-", " ") if self.spaced else own
        # a word of its own: not a part of a longer one, or of a path
        pattern = rf"(?<![\w./-]){_either(theirs)}(?![\w-])"
        return re.sub(pattern, lambda _: own, answer)

    def _weighted(self, prompts: Sequence[str]) -> Any:
        tokenizer, idf = self._known
        ids = [np.asarray(tokenizer.encode(prompt).ids, np.int64) for prompt in prompts]
        return tfidf.weighted(tfidf.counted(ids, tokenizer.size), idf)


def fit(
    prompts: Sequence[str], answers: Sequence[str], words: tuple[int, int], swaps: bool
) -> Nearest:
    """Keep the pairs. Raises LmspecError if no prompt has a word."""
    return Nearest(prompts, answers, words, swaps, _spaced(prompts, answers))


def first_word(prompt: str) -> str:
    """Without the sign that may follow it: `git-log: Show ...` begins with `git-log`."""
    words = prompt.split(maxsplit=1)
    return words[0].rstrip(EDGE) if words else ""


def _spaced(prompts: Sequence[str], answers: Sequence[str]) -> bool:
    whole = apart = 0
    for prompt, answer in zip(prompts, answers, strict=True):
        word = first_word(prompt)
        if "-" in word:
            whole += word in answer
            apart += word.replace("-", " ") in answer
    return apart > whole


def _either(word: str) -> str:
    """A pattern of the word, with spaces or hyphens between its parts."""
    return "[ -]".join(map(re.escape, word.split("-")))
