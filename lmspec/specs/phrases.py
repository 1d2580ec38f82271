"""phrases: what a file of phrases has: words, sentences with slots for them, terms to swap."""

from collections.abc import Mapping
from dataclasses import dataclass

Words = tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """A sentence with slots, and its label. None: none fits it, so it comes once with each label:
    a model is to be unsure."""

    text: str
    label: str | None


@dataclass(frozen=True)
class Rule:
    """How a sentence is negated.

    after     words that `by` follows: is, was, looks
    by        not
    adverbs   words that may be between: very, so, really
    polarity  label -> the slot whose words speak for it
    becomes   label -> that of the negated text
    """

    after: Words
    by: str
    adverbs: Words
    polarity: Mapping[str, str]
    becomes: Mapping[str, str]


@dataclass(frozen=True)
class Phrases:
    """One file. Each kind of augmentation reads its part; of what the file lacks there is none.

    words      slot -> what may be in it
    templates  of `templates`
    contexts   sentences with slots, of `context`
    swaps      lists of terms that stand for each other, of `counterfactual`
    negation   of `negation`
    """

    words: Mapping[str, Words]
    templates: tuple[Template, ...] = ()
    contexts: Words = ()
    swaps: tuple[Words, ...] = ()
    negation: Rule | None = None
