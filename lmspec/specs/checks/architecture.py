"""architecture checks: which n-grams a model counts, and how long texts are read."""

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
        yield from _in_order(linear, field)


def word_orders_are_in_order(nearest: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The shortest n-gram is not longer than the longest."""
    yield from _in_order(nearest, "words")


def _in_order(values: Mapping[str, Any], field: str) -> Iterator[Disagreement]:
    if values[field] is not None and values[field][0] > values[field][1]:
        low, high = values[field]
        found = f"the shortest n-gram, {low}, is longer than the longest, {high}"
        yield Disagreement((field,), found, "swap them")


def texts_are_cut_as_they_can_be(causal: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A plain text is cut into windows; an answer that is cut would be learned without its end."""
    plain, long_texts = causal["prompt"] is None, causal["long_texts"]
    others = ((("prompt",), "null" if plain else "the prompt"),)
    if plain and long_texts != "windows":
        found = f"plain texts have no prompt, so {long_texts} says nothing of them"
        yield Disagreement(("long_texts",), found, "write windows", others)
    elif not plain and long_texts == "windows":
        found = "a window would hold a part of an answer, without its prompt or its end"
        yield Disagreement(("long_texts",), found, "write leave_out or cut_prompt", others)
