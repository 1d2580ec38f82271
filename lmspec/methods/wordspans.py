"""wordspans: where the words of a text are, in any script: what explanations are about.

Every character that is not white space is in one word. Runs of letters, marks and digits are
words, with apostrophes and hyphens inside (don't, well-made), and `#` or `@` before; so are URLs,
runs of punctuation, and each emoji. Scripts that are written without spaces (Chinese, Japanese,
Thai, Lao, Khmer, Burmese) have a word for each character and its marks; a tokenizer that reads
several of them as one token makes one word of these (methods/wordreader.py).
"""

import re
import unicodedata

from lmspec.methods.ngrams import ALONE, JOINED, KINDS

Span = tuple[int, int]  # first character, and the one after the last
URL = re.compile(r"https?://\S+")
INSIDE = frozenset("'’-")  # between two letters, part of a word
BEFORE = frozenset("#@")
MARKS = ("Mn", "Mc", "Me", "Cf")  # categories of what belongs to the character before


def spans(text: str) -> list[Span]:
    """(start, end) of each word, in order."""
    found: list[Span] = []
    start = place = 0
    last: int | None = None  # kind of the last character of the word at hand
    while place < len(text):
        end, kind = _next(text, place, last)
        if last is None or kind is None or not _continues(text[start:place], kind, last):
            if last is not None:
                found.append((start, place))
            start = place
        last, place = kind, end
    return [*found, (start, len(text))] if last is not None else found


def _next(text: str, place: int, last: int | None) -> tuple[int, int | None]:
    """(where the character at a place and its marks end, its kind by ngrams.KINDS).

    White space has no kind; a URL is one character. last: kind of the character before
    """
    character, end = text[place], place + 1
    if character.isspace():
        return end, None
    if last != JOINED and (url := URL.match(text, place)):
        return url.end(), ALONE
    while end < len(text) and unicodedata.category(text[end]) in MARKS:
        end += 1
    if character in INSIDE and last == JOINED and KINDS[text[end : end + 1] or " "] == JOINED:
        return end, JOINED
    return end, KINDS[character]


def _continues(begun: str, kind: int, last: int) -> bool:
    """Is a character of a kind part of the word that has begun?"""
    return kind == last != ALONE or (kind == JOINED and begun in BEFORE)
