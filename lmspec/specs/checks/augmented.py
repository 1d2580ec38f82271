"""augmented checks: a paraphrase is asked of its text, and is another one each time."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

TEXT = "{text}"


def prompt_has_the_text(paraphrase: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Without its place, the text would be left out."""
    if (count := paraphrase["prompt"].count(TEXT)) != 1:
        found = f"{TEXT} is {f'{count} times in it' if count else 'not in it'}"
        yield Disagreement(("prompt",), found, f"write {TEXT} once, where the text belongs")


def copies_differ(paraphrase: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The most probable tokens are the same each time."""
    if paraphrase["decode"]["kind"] == "greedy" and paraphrase["copies"] > 1:
        others = ((("decode", "kind"), "the same tokens each time"),)
        found = f"{paraphrase['copies']} copies of a text would be equal"
        yield Disagreement(("copies",), found, "write 1, or `decode: {kind: sample, ...}`", others)


def lengths_are_in_order(paraphrase: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Some length is accepted."""
    low, high = paraphrase["min_length"], paraphrase["max_length"]
    if low == high:
        others = ((("max_length",), "the upper bound"),)
        yield Disagreement(("min_length",), "every other length is left out", "lower it", others)


def one_classifier_agrees(augmented: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A stage reads one kind of classifier."""
    named = [(i, kind["agrees"]) for i, kind in enumerate(augmented["add"]) if kind.get("agrees")]
    for i, agrees in named:
        if agrees != named[0][1]:
            others = ((("add", named[0][0], "agrees"), "the first one"),)
            found = f"{agrees} is another classifier than {named[0][1]}"
            yield Disagreement(("add", i, "agrees"), found, "name the same one", others)
