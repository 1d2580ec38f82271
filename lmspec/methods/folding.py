"""folding: letters of other scripts in place of Latin ones, which they look like.

A bundle has a copy of this file, so it imports nothing of lmspec. Russian, Bulgarian and Greek stay
as they are: a word is folded only if that makes it a Latin word, only among Latin words, and only
in a text that is Latin for the most part. Source of the pairs: Unicode Technical Standard 39, and
three letters (κ, к, χ) that are used in the same way.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

# The letters of other alphabets that look like one Latin letter each.
LOOK_ALIKES = {
    "a": "аɑα",
    "b": "Ь",
    "c": "сϲ",
    "d": "ԁ",
    "e": "еҽ",
    "g": "ɡց",
    "h": "һհ",
    "i": "іι",
    "j": "јϳ",
    "k": "κк",
    "l": "ӏ",
    "n": "ո",
    "o": "оοօσ",
    "p": "рρ",
    "q": "ԛգ",
    "r": "г",
    "s": "ѕ",
    "u": "υս",
    "v": "νѵ",
    "w": "ԝѡ",
    "x": "хχ",
    "y": "уγү",
    "A": "АΑᎪ",
    "B": "ВΒᏴ",
    "C": "СϹᏟ",
    "D": "Ꭰ",
    "E": "ЕΕᎬ",
    "F": "Ϝ",
    "G": "Ԍ",
    "H": "НΗᎻ",
    "I": "ІΙӀ",
    "J": "ЈͿᎫ",
    "K": "КΚᏦ",
    "L": "Ꮮ",
    "M": "МΜᎷ",
    "N": "Ν",
    "O": "ОΟՕ",
    "P": "РΡᏢ",
    "Q": "Ԛ",
    "S": "ЅՏᏚ",
    "T": "ТΤᎢ",
    "U": "Ս",
    "V": "ѴᏙ",
    "W": "ԜᎳ",
    "X": "ХΧ",
    "Y": "ҮΥУ",
    "Z": "ΖᏃ",
}
TO_LATIN = {ord(other): latin for latin, others in LOOK_ALIKES.items() for other in others}
RESEMBLES = re.compile(f"[{''.join(map(chr, TO_LATIN))}]")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ'’]*")
SURE = 3  # Latin words for each that may be one: then a text is Latin
SYMBOL = re.compile("[Ͱ-Ͽ]")  # a Greek letter alone means a quantity
# Mathematical, enclosed and full-width letters in words: 𝐛𝐚𝐝, ⓑⓐⓓ. One alone is a variable.
_STYLED = "[\U0001d400-\U0001d7ff\u24b6-\u24e9\u2102-\u2134\uff21-\uff3a\uff41-\uff5a]"
STYLED = re.compile(f"(?<=[A-Za-z]){_STYLED}+|{_STYLED}+(?=[A-Za-z])|{_STYLED}{{2,}}")
# What no one sees between two letters: a soft hyphen, joiners, marks of direction, no space.
UNSEEN = re.compile("(?<=[A-Za-z])[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+(?=[A-Za-z])")


def folded(text: str) -> str:
    """The text with Latin letters in place of those that replace them."""
    if text.isascii():
        return text
    text = STYLED.sub(lambda match: "".join(map(_plain, match.group())), text)
    text = UNSEEN.sub("", text)
    return _folded(text) if RESEMBLES.search(text) else text


def _plain(letter: str) -> str:
    plain = unicodedata.normalize("NFKC", letter)
    return plain if len(plain) == 1 and plain.isascii() and plain.isalpha() else letter


def _folded(text: str) -> str:
    words = list(WORD.finditer(text))
    latin = [_is_latin(word.group()) for word in words]
    foreign, sure, either = (latin.count(is_latin) for is_latin in (False, True, None))
    if foreign >= max(1, sure):
        return text
    # Real words that look Latin as a whole are frequent, such as `а` and `у`, beside the names and
    # the code of other languages: a word of two alphabets shows that they are no such words.
    mixed = any(
        is_latin and RESEMBLES.search(word.group())
        for word, is_latin in zip(words, latin, strict=True)
    )
    whole_too = mixed or (not foreign and sure >= SURE * either)
    before, after = _nearest(latin), [*reversed(_nearest(latin[::-1]))]
    parts, end = [], 0
    for word, *sides in zip(words, before, after, strict=True):
        parts += [text[end : word.start()], _turned(word.group(), sides, whole_too)]
        end = word.end()
    return "".join([*parts, text[end:]])


def _is_latin(word: str) -> bool | None:
    """Would it be a Latin word? None if every letter of it may be of another script."""
    if not LATIN.fullmatch(word.translate(TO_LATIN)):
        return False
    return None if RESEMBLES.sub("", word) == "" else True


def _nearest(latin: Iterable[bool | None]) -> Sequence[bool | None]:
    """For each word, what the nearest word before it is that is surely one or the other."""
    last: bool | None = None
    result = []
    for one in latin:
        result.append(last)
        last = last if one is None else one
    return result


def _turned(word: str, sides: Sequence[bool | None], whole_too: bool) -> str:
    """The word in Latin letters, if it is to be.

    sides      what is before and after it
    whole_too  may it be of letters that replace others alone?
    """
    turned = word.translate(TO_LATIN)
    if turned == word or not LATIN.fullmatch(turned):
        return word
    if RESEMBLES.sub("", word):  # two alphabets in one word: one Latin neighbour is enough
        return turned if True in sides or False not in sides else word
    among_latin = whole_too and True in sides and False not in sides
    return turned if among_latin and not SYMBOL.fullmatch(word) else word
