"""lexicon: a file of words, each with a label or a weight, as labelling functions read it."""

import math
from collections.abc import Sequence
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.formats import plaintext

MOST_BYTES = 64 * 2**20


def read(path: Path, place: str, labels: Sequence[str], weighted: bool) -> dict[str, str | float]:
    """Word -> its weight, or its label. place: what messages call the file.

    weighted  the second field is a weight; else one of the labels
    Raises LmspecError, with the line.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            found = f"it has {size:,} bytes; {MOST_BYTES:,} are allowed"
            raise LmspecError(place, found, "leave out words that no text has")
        plaintext.require_utf8(path, place)
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        found = f"it cannot be read: {error.strerror}" if path.exists() else "there is no such file"
        raise LmspecError(place, found, "correct `file`, or add it") from None
    words: dict[str, str | float] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            word, value = _entry(line, f"{place}:{number}", labels, weighted)
            if words.setdefault(word, value) != value:
                found = f"{word!r} is listed before, as {words[word]!r}"
                raise LmspecError(f"{place}:{number}", found, "keep one of the lines")
    if not words:
        raise LmspecError(place, "it has no word", "write one a line: word, tab, label or weight")
    return words


def _entry(line: str, place: str, labels: Sequence[str], weighted: bool) -> tuple[str, str | float]:
    word, tab, rest = line.partition("\t")
    word = " ".join(word.split())
    value = rest.partition("\t")[0].strip()
    if not tab or not word:
        found = f"{plaintext.shown(line)} is no word with a tab after it"
        raise LmspecError(place, found, "write the word, a tab, and its label or its weight")
    if not weighted:
        if value not in labels:
            found = f"{value!r} is none of the labels"
            remedy = f"write one of {some(list(labels))}; of words with weights, give `bands`"
            raise LmspecError(place, found, remedy)
        return word, value
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        remedy = "write a weight; of words with labels, write `bands: null`"
        raise LmspecError(place, f"{value!r} is no number", remedy)
    return word, weight
