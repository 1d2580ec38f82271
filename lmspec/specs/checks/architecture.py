"""architecture checks: which n-grams a linear model counts."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def n_grams_are_given(linear: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A linear model counts n-grams of words, of characters, or both."""
    if linear["word_ngrams"] is None and linear["char_ngrams"] is None:
        found = "neither words nor characters are counted"
        others = ((("char_ngrams",), "null too"),)
        yield Disagreement(("word_ngrams",), found, "give one of them, such as [1, 2]", others)


def families_are_counted(linear: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Only n-grams that are counted can be tried."""
    needed = {"words": ("word_ngrams",), "characters": ("char_ngrams",)}
    for i, family in enumerate(linear["families"]):
        for field in needed.get(family, ("word_ngrams", "char_ngrams")):
            if linear[field] is None:
                others = (((field,), "null"),)
                found = f"{family} needs {field}, which is null"
                yield Disagreement(("families", i), found, f"give {field}, or leave it out", others)


def n_gram_orders_are_in_order(linear: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The shortest n-gram is not longer than the longest."""
    for field in ("word_ngrams", "char_ngrams"):
        if linear[field] is not None and linear[field][0] > linear[field][1]:
            low, high = linear[field]
            found = f"the shortest n-gram, {low}, is longer than the longest, {high}"
            yield Disagreement((field,), found, "swap them")
