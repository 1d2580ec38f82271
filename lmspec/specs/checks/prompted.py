"""prompted checks: one slot for the text, and words for every label that are its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

SLOT = "{text}"


def the_text_has_one_slot(prompted: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A template without a slot asks the same of every text; with two, one text is read twice."""
    count = prompted["template"].count(SLOT)
    if count != 1:
        found = f"it has {count} slots {SLOT} for the text, not one"
        yield Disagreement(("template",), found, f"write {SLOT} once, where the text belongs")


def words_are_of_one_label(prompted: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A word that stands for two labels tells neither."""
    first: dict[str, tuple[str, int]] = {}
    for label, words in prompted["words"].items():
        for i, word in enumerate(words):
            if word in first:
                found = f"{word!r} stands for {first[word][0]!r}, too"
                others = ((("words", *first[word]), "the first"),)
                yield Disagreement(("words", label, i), found, "write another word", others)
            first.setdefault(word, (label, i))
