"""perturbing: small changes of a text that change nothing for its reader, or one thing."""

import re
from collections.abc import Callable, Mapping

import numpy as np

from lmspec.methods import anycase
from lmspec.specs.suites import Change

LONG = re.compile(r"[^\W\d_]{4,}")  # words in which two letters can be swapped and still be read
LETTERS = re.compile(r"[^\W\d_]{2,}")
END = re.compile(r"[.!?…]+$")
# Letters of two alphabets that look alike in most fonts: an attack, and apart from any table that
# a model's input is folded by. Source: Unicode Technical Standard 39, confusables.
LATIN, CYRILLIC = "aceijopsxyABCEHIJKMOPSTXY", "асеіјорѕхуАВСЕНІЈКМОРЅТХУ"
LOOK_ALIKES = str.maketrans(LATIN + CYRILLIC, CYRILLIC + LATIN)
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}  # the full-width forms of ASCII
UNSEEN = "\u200b"  # a space without width


def changed(text: str, change: Change, rng: np.random.Generator) -> str:
    """The text after a change; itself if there is nothing to change.

    rng  decides which letters, or which of several sentences
    """
    if change.how == "perturb":
        return PERTURBATIONS[change.values[0]](text, rng, change.times)
    if change.how == "replace":
        return replaced(text, change.words)
    sentence = change.values[int(rng.integers(len(change.values)))]
    return f"{text} {sentence}" if change.how == "append" else f"{sentence} {text}"


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Each whole word that the mapping has by another, in the case of the first letter.

    A longer entry is tried before a shorter one; what was put in is not replaced again.
    """
    keys = sorted(words, key=lambda word: (-len(word), word))
    lower = {word.lower(): other for word, other in words.items()}
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, keys))})(?!\w)"

    def other(match: re.Match[str]) -> str:
        found, new = match[0], anycase.entry(lower, match[0])
        return new[:1].upper() + new[1:] if found[:1].isupper() else new

    return re.sub(pattern, other, text, flags=re.IGNORECASE)


def typo(text: str, rng: np.random.Generator, times: int) -> str:
    """Two neighbouring letters of a word swapped, so many times; its first letter stays.

    Each swap is in another place; a text with too few words of four letters has fewer.
    """
    places = [
        i
        for word in LONG.finditer(text)
        for i in range(word.start() + 1, word.end() - 1)
        if text[i].lower() != text[i + 1].lower()
    ]
    letters = list(text)
    while places and times:
        at = places[int(rng.integers(len(places)))]
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
        places = [i for i in places if abs(i - at) > 1]
        times -= 1
    return "".join(letters)


def punctuation(text: str) -> str:
    """Without the marks at its end; with a full stop if it has none."""
    ended = text.rstrip()
    return END.sub("", ended) if END.search(ended) else f"{ended}."


def zero_width(text: str) -> str:
    """A space without width after the first letter of each word."""
    return LETTERS.sub(lambda word: f"{word[0][0]}{UNSEEN}{word[0][1:]}", text)


Perturbation = Callable[[str, np.random.Generator, int], str]


def _plain(function: Callable[[str], str]) -> Perturbation:
    """One that draws nothing."""
    return lambda text, rng, times: function(text)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "typo": typo,
    "lower_case": _plain(str.lower),
    "upper_case": _plain(str.upper),
    "full_width": _plain(lambda text: text.translate(WIDE)),
    "look_alikes": _plain(lambda text: text.translate(LOOK_ALIKES)),
    "zero_width": _plain(zero_width),
    "punctuation": _plain(punctuation),
}
