"""texts: what is in texts: their scripts, and the texts of a table by id if they are at hand."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lmspec.methods.scripts import script_of

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
