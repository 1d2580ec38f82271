"""ngrams: a text -> ids of its n-grams of words and characters, each with its count.

A bundle ships this file: it imports nothing of lmspec.
One id stands for an n-gram and how often it occurs, so that a linear model has the inputs of every
model: input_ids and attention_mask.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

COUNTS = 1024  # an id is ngram * COUNTS + count, and higher counts are COUNTS - 1
HEAD = '{"kind": "n-grams"'  # how tokenizer.json begins; one of `tokenizers` does not
MOST_REMEMBERED = 200_000  # chunks; the same words come again and again
Orders = Sequence[int] | None  # shortest and longest n-gram

# Scripts written without spaces: each of their characters is a word of its own.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
APART, JOINED, ALONE = range(3)


class _Kinds(dict[str, int]):
    """Character -> whether it separates words, is part of one, or is one."""

    def __missing__(self, character: str) -> int:
        number, kind = ord(character), unicodedata.category(character)
        if kind[0] == "S" and number > 0x7F:
            result = ALONE  # an emoji
        elif kind[0] not in "LMN" and character != "_":
            result = APART
        else:
            unspaced = any(low <= number <= high for low, high in UNSPACED)
            result = ALONE if unspaced else JOINED
        self[character] = result
        return result


KINDS = _Kinds()


def chunks(text: str) -> list[str]:
    """What white space separates, in lower case and compatibility form (NFKC)."""
    return unicodedata.normalize("NFKC", text).lower().split()


def words(chunk: str) -> list[str]:
    """Runs of letters, marks and digits; characters of scripts without spaces one by one."""
    if chunk.isascii() and chunk.isalnum():
        return [chunk]
    found, run = [], ""
    for character in chunk:
        kind = KINDS[character]
        if kind == JOINED:
            run += character
            continue
        if run:
            found.append(run)
            run = ""
        if kind == ALONE:
            found.append(character)
    return [*found, run] if run else found


def pieces(chunk: str, orders: Orders) -> Iterator[str]:
    """N-grams of characters within a chunk; a space marks its beginning and its end."""
    if orders is None:
        return
    for n in range(orders[0], orders[1] + 1):
        padded = chunk if n == 1 else f" {chunk} "
        for i in range(len(padded) - n + 1):
            yield padded[i : i + n]


@dataclass(frozen=True)
class Encoded:
    """ids: ascending, one for each known n-gram of the text; [0], count 0 of the first, if none."""

    ids: list[int]


@dataclass(frozen=True)
class NgramTokenizer:
    """The n-grams that a linear model knows; any others of a text are left out.

    words        n-grams of words, joined by spaces; their numbers are 0, 1, ...
    chars        n-grams of characters; their numbers follow
    word_orders  shortest and longest n-gram of words; None: there are none
    char_orders  the same of characters
    """

    words: tuple[str, ...]
    chars: tuple[str, ...]
    word_orders: Orders
    char_orders: Orders
    _words: dict[str, int] = field(default_factory=dict, compare=False, repr=False)
    _chars: dict[str, int] = field(default_factory=dict, compare=False, repr=False)
    _known: dict[str, tuple[list[str], list[int]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        self._words.update((name, i) for i, name in enumerate(self.words))
        self._chars.update((name, i) for i, name in enumerate(self.chars, start=len(self.words)))

    @property
    def size(self) -> int:
        """How many n-grams it knows."""
        return len(self.words) + len(self.chars)

    def get_vocab_size(self) -> int:
        """Number of different ids."""
        return self.size * COUNTS

    def encode(self, text: str) -> Encoded:
        """The ids of a text."""
        counts: Counter[int] = Counter()
        tokens: list[str] = []
        separate = chunks(text)
        for chunk in separate if self.word_orders else ():
            tokens += self._parts(chunk)[0]
        for chunk, times in Counter(separate).items() if self.char_orders else ():
            for number in self._parts(chunk)[1]:
                counts[number] += times
        for gram in joined(tokens, self.word_orders):
            number = self._words.get(gram, -1)
            if number >= 0:
                counts[number] += 1
        ids = sorted(number * COUNTS + min(n, COUNTS - 1) for number, n in counts.items())
        return Encoded(ids or [0])

    def encode_batch(self, texts: Iterable[str]) -> list[Encoded]:
        """The ids of each text."""
        return [self.encode(text) for text in texts]

    def _parts(self, chunk: str) -> tuple[list[str], list[int]]:
        """The words of a chunk, and the numbers of its n-grams of characters."""
        parts = self._known.get(chunk)
        if parts is None:
            chars = self._chars
            numbers = [chars[c] for c in pieces(chunk, self.char_orders) if c in chars]
            parts = words(chunk) if self.word_orders else [], numbers
            if len(self._known) < MOST_REMEMBERED:
                self._known[chunk] = parts
        return parts

    def values(self) -> dict[str, Any]:
        """What is written of it."""
        return {
            "kind": "n-grams",
            "word_orders": self.word_orders and list(self.word_orders),
            "char_orders": self.char_orders and list(self.char_orders),
            "words": self.words,
            "chars": self.chars,
        }

    def save(self, path: str) -> None:
        """Write JSON: the same n-grams give the same bytes."""
        _write(self.values(), path)


@dataclass(frozen=True)
class HybridTokenizer:
    """Tokens for an encoder, then n-grams: one sequence of ids for both. A `Reader` joins them.

    tokens  of the package `tokenizers`; it truncates, and does not pad
    offset  added to the ids of the n-grams: the number of rows that the encoder embeds
    """

    tokens: Tokenizer
    ngrams: NgramTokenizer
    offset: int

    @property
    def size(self) -> int:
        """How many n-grams it knows."""
        return self.ngrams.size

    def get_vocab_size(self) -> int:
        """One more than the highest id."""
        return self.offset + self.ngrams.get_vocab_size()

    def beside(self, text: str) -> list[int]:
        """Ids of the n-grams of a whole text, which follow those of its tokens."""
        return [self.offset + i for i in self.ngrams.encode(text).ids]

    def save(self, path: str) -> None:
        """Write JSON: the same tokens and n-grams give the same bytes."""
        tokens = json.loads(self.tokens.to_str())
        _write(self.ngrams.values() | {"offset": self.offset, "tokens": tokens}, path)


def _write(values: dict[str, Any], path: str) -> None:
    text = json.dumps(values, ensure_ascii=False, indent=0)
    Path(path).write_text(f"{HEAD}{text[len(HEAD) + 1 :]}\n", encoding="utf-8")


def joined(tokens: Sequence[str], orders: Orders) -> Iterator[str]:
    """N-grams of words, each joined by spaces."""
    for n in range(orders[0], orders[1] + 1) if orders else ():
        if n == 1:
            yield from tokens
        else:
            yield from map(" ".join, zip(*(tokens[i:] for i in range(n)), strict=False))


AnyTokenizer = Tokenizer | NgramTokenizer | HybridTokenizer


def tokenizer(path: Path) -> AnyTokenizer:
    """The tokenizer of any kind in a file. Raises ValueError."""
    with path.open(encoding="utf-8") as file:
        if file.read(len(HEAD)) != HEAD:
            return _tokens(path.read_text(encoding="utf-8"))
    values = json.loads(path.read_text(encoding="utf-8"))
    try:
        ngrams = NgramTokenizer(
            tuple(values["words"]),
            tuple(values["chars"]),
            values["word_orders"] and tuple(values["word_orders"]),
            values["char_orders"] and tuple(values["char_orders"]),
        )
        if "tokens" not in values:
            return ngrams
        return HybridTokenizer(_tokens(json.dumps(values["tokens"])), ngrams, values["offset"])
    except KeyError as error:
        raise ValueError(f"it has no {error}") from None


def _tokens(text: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises plain Exception
        raise ValueError(str(error)) from None
