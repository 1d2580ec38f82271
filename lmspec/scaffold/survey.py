"""survey: what the choices for a new project depend on: rows, labels, scripts, tokens."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmspec.methods.scripts import script_of

# Scripts that put no spaces between words.
UNSPACED = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
WIDEST = 0.3  # share of the letters from which texts count as written without spaces


@dataclass(frozen=True)
class Survey:
    """A table of labelled texts, as far as choices depend on it.

    rows        distinct texts that have a label
    labels      label -> rows
    characters  (m,) lengths of a sample of texts, ascending
    scripts     script -> share of the letters, the most frequent first
    """

    rows: int
    labels: dict[str, int]
    characters: tuple[int, ...]
    scripts: dict[str, float]

    @property
    def majority(self) -> float:
        """Share of the most frequent label."""
        return max(self.labels.values()) / sum(self.labels.values())

    @property
    def imbalance(self) -> float:
        """Rows of the most frequent label for one of the rarest."""
        return max(self.labels.values()) / min(self.labels.values())

    @property
    def spaced(self) -> bool:
        """Are words separated by spaces?"""
        return sum(self.scripts.get(script, 0.0) for script in UNSPACED) < WIDEST


def survey(texts: Sequence[str], rows: int, labels: dict[str, int]) -> Survey:
    """texts: a sample of them."""
    letters: Counter[str] = Counter()
    for text in texts:
        letters.update(script for c in text[:1000] if (script := script_of(c)))
    total = letters.total() or 1
    scripts = {script: count / total for script, count in letters.most_common()}
    return Survey(rows, labels, tuple(sorted(map(len, texts))), scripts)


@dataclass(frozen=True)
class Lengths:
    """Tokens of a sample of texts, as a tokenizer counts them, special ones included.

    tokens   (m,) ascending
    unknown  share of the tokens that the tokenizer does not know
    per_word tokens for one word, where words are separated by spaces; else 1
    """

    tokens: tuple[int, ...]
    unknown: float
    per_word: float

    def quantile(self, share: float) -> int:
        """The fewest tokens that hold this share of the texts."""
        return self.tokens[min(len(self.tokens) - 1, math.ceil(share * len(self.tokens)) - 1)]

    def cut(self, length: int) -> float:
        """Share of the texts that have more tokens."""
        return sum(n > length for n in self.tokens) / len(self.tokens)

    def mean(self, length: int) -> float:
        """Tokens that are read of a text on average, if at most `length` are."""
        return sum(min(n, length) for n in self.tokens) / len(self.tokens)


def lengths(texts: Sequence[str], count: Callable[[str], tuple[int, int]]) -> Lengths:
    """count: (tokens, unknown ones) of a text."""
    counted = [count(text) for text in texts]
    tokens = sum(n for n, _ in counted)
    words = sum(len(text.split()) for text in texts)
    return Lengths(
        tuple(sorted(n for n, _ in counted)),
        sum(unknown for _, unknown in counted) / max(1, tokens),
        tokens / max(1, words),
    )
