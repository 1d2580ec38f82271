"""texts: what is in texts: their scripts, and the texts of a table by id if they are at hand."""

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

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
LOOKED_AT = 400  # characters of a text, which are enough to tell its script
NONE = "no letters"


def by_id(path: Path) -> dict[str, str]:
    """Id -> text of a table of documents; empty if it is not here or cannot be read."""
    if not path.is_file():
        return {}
    import polars as pl  # here: it takes 0.1 s, and a summary without texts needs none

    try:
        frame = pl.read_parquet(path, columns=["id", "text"])
    except (pl.exceptions.PolarsError, OSError):
        return {}
    return dict(frame.iter_rows())


@functools.cache
def script_of(character: str) -> str:
    """The script of a letter by its name in Unicode; empty for other characters.

    Approximate: the standard library has names and categories, but not the property Script.
    """
    if not unicodedata.category(character).startswith("L"):
        return ""
    first = unicodedata.name(character, "").partition(" ")[0]
    return SCRIPTS.get(first, first.capitalize())


def script(text: str) -> str:
    """The script of most letters of a text, as `Latin`, `Cyrillic` or `Han`."""
    counts: Counter[str] = Counter()
    for character, count in Counter(text[:LOOKED_AT]).items():
        if name := script_of(character):
            counts[name] += count
    if not counts:
        return NONE
    if counts["Hiragana"] + counts["Katakana"] > 0.1 * counts.total():
        return "Japanese"  # which mixes them with Han
    return min(counts, key=lambda name: (-counts[name], name))


def scripts(texts: Iterable[str]) -> dict[str, int]:
    """Script -> number of texts, the most frequent first."""
    return dict(Counter(map(script, texts)).most_common())
