"""phrases: what a file of phrases has: words, sentences with slots for them, terms to swap."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.tabular import Label

Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Words = Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=10_000)]
SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def slots(sentence: str) -> tuple[str, ...]:
    """The names in braces, in order; a name that occurs twice is one word."""
    return tuple(dict.fromkeys(SLOT.findall(sentence)))


class Template(Spec):
    """A sentence and its label."""

    text: Text = Field(description="with slots: `It was not {bad}.`")
    label: Label | None = Field(
        description="null: none fits it, so it is added once with each: a model is to be unsure"
    )


class Rule(Spec):
    """How a sentence is negated."""

    after: Words = Field(description="words that `by` follows: is, was, looks")
    by: Text = Field(description="not")
    adverbs: Words = Field(description="words that may be between: very, so, really")
    polarity: dict[Label, str] = Field(description="label -> the slot whose words speak for it")
    becomes: dict[Label, Label] = Field(description="label -> that of the negated text")


def slots_have_words(phrases: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The words of a slot are listed under its name."""
    sentences: list[tuple[Steps, str]] = [
        (("templates", i, "text"), template["text"])
        for i, template in _numbered(phrases, "templates")
    ]
    sentences += [(("contexts", i), text) for i, text in _numbered(phrases, "contexts")]
    for steps, sentence in sentences:
        for slot in slots(sentence):
            if slot not in phrases["words"]:
                found = f"{sentence!r} has a slot {{{slot}}}, and there are no words for it"
                yield Disagreement(steps, found, f"list them in `words`, as `{slot}: [...]`")
    for label, slot in ((phrases["negation"] or {}).get("polarity") or {}).items():
        if slot not in phrases["words"]:
            found = f"there are no words {slot!r}"
            yield Disagreement(("negation", "polarity", label), found, "list them in `words`")


def terms_have_others(phrases: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A term is swapped for another one of its list."""
    for i, terms in _numbered(phrases, "swaps"):
        if len({term.casefold() for term in terms}) < 2:
            yield Disagreement(("swaps", i), "it needs two different terms", "add another")


def _numbered(phrases: Mapping[str, Any], field: str) -> list[tuple[int, Any]]:
    return list(enumerate(phrases[field] or ()))


class Phrases(Spec):
    """One file. Each kind of augmentation reads its part."""

    holds = (slots_have_words, terms_have_others)
    source: Text = Field(description="who wrote it, or where it is from")
    license: Text = Field(description="under which it may be used")
    words: dict[str, Words] = Field(description="slot -> what may be in it")
    templates: tuple[Template, ...] | None = Field(
        default=None, strict=False, min_length=1, description="of `templates`"
    )
    contexts: Words | None = Field(default=None, description="sentences, of `context`")
    swaps: tuple[Words, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="lists of terms that stand for each other, of `counterfactual`",
    )
    negation: Rule | None = Field(default=None, description="of `negation`")

    def labels(self) -> Iterator[tuple[str, str]]:
        """(where it is, label) of each label that the file names."""
        for i, template in enumerate(self.templates or ()):
            if template.label is not None:
                yield f"templates.{i}.label", template.label
        if self.negation:
            for label, other in self.negation.becomes.items():
                yield "negation.becomes", label
                yield "negation.becomes", other
            for label in self.negation.polarity:
                yield "negation.polarity", label
