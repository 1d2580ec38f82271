"""scripts: the script of a letter, as `Latin`, `Cyrillic` or `Han`."""

import functools
import unicodedata

# words of a character's name that are no script; punctuation, digits and signs belong to none
SCRIPTS = {
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "KATAKANA-HIRAGANA": "Katakana",
    "MODIFIER": "",
    "FULLWIDTH": "Latin",
    "HALFWIDTH": "Katakana",
    "FEMININE": "Latin",
    "MASCULINE": "Latin",
    "MICRO": "Greek",
}


@functools.lru_cache(maxsize=200_000)  # of 140,000 letters
def script_of(character: str) -> str:
    """The script of a letter by its name in Unicode; empty for other characters.

    Approximate: the standard library has names and categories, but not the property Script.
    """
    if not character.isalpha():
        return ""
    first = unicodedata.name(character, "").partition(" ")[0]
    return SCRIPTS.get(first, first.capitalize())
