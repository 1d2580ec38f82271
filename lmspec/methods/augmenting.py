"""augmenting: further training texts, made from one that is there, or from templates.

Draws are passed in: each text and copy has a generator of its own, so that a row more or less in
the data changes nothing of what is made from the others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lmspec.methods import anycase
from lmspec.specs import suites
from lmspec.specs.augmented import (
    KINDS,
    Context,
    Counterfactual,
    Dropout,
    Kind,
    Negation,
    Swap,
    Templates,
    Typos,
)
from lmspec.specs.phrases import Phrases, Rule, Words

Draw = np.random.Generator


class Drawn(Protocol):
    """A kind that draws texts, and makes copies of each."""

    @property
    def share(self) -> float:
        """Of the training texts."""

    @property
    def copies(self) -> int:
        """Of each drawn text."""


AUGMENT = 10  # number of its stream of draws
WORD = re.compile(r"(?<!\w)[^\W\d_]{3,}(?!\w)")  # of letters; a typo needs a few of them
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEXT_TO = {
    key: "".join(row[max(0, i - 1) : i] + row[i + 1 : i + 2])
    for row in KEYS
    for i, key in enumerate(row)
}


class Text(NamedTuple):
    """A training text. id: 16 hexadecimal digits that follow from it."""

    id: str
    text: str
    label: str


class Made(NamedTuple):
    """A text that was made.

    copy    its number, of those made from one text
    beside  id of another text that a part of it is from
    """

    text: str
    label: str
    copy: int
    beside: str | None = None


def of_text(
    kind: Kind,
    key: Sequence[int],
    name: str,
    text: str,
    label: str,
    phrases: Phrases | None,
) -> Iterator[Made | None]:
    """What one kind makes of one text; None for a copy in which there was nothing to change.

    key   of the draws: the seed, and the number of the kind
    name  id of the text, in hexadecimal digits
    """
    if isinstance(kind, Templates):
        return
    for copy, draw in drawn(kind, key, name):
        changed, turned = _changed(kind, draw, text, label, phrases)
        yield None if changed in (None, text) else Made(str(changed), turned, copy)


def drawn(kind: Drawn, key: Sequence[int], name: str) -> Iterator[tuple[int, Draw]]:
    """(number, draws) of each copy that is made of a text."""
    for copy in range(kind.copies):
        draw = np.random.default_rng([*key, int(name, 16), copy])
        if draw.random() < kind.share:
            yield copy, draw


def _changed(
    kind: Kind, draw: Draw, text: str, label: str, phrases: Phrases | None
) -> tuple[str | None, str]:
    """(new text or None, its label)."""
    match kind:
        case Typos():
            return with_typos(text, draw, kind.edits), label
        case Dropout():
            return without_words(text, draw, kind.rate), label
        case Swap():
            return with_words_swapped(text, draw, kind.swaps), label
        case Counterfactual() if phrases and phrases.swaps:
            return with_terms_swapped(text, draw, phrases.swaps), label
        case Context() if phrases and phrases.contexts:
            return in_context(text, draw, phrases.contexts, phrases.words), label
        case Negation() if phrases and phrases.negation:
            return negated(text, label, phrases.negation, phrases.words, kind.max_words)
    raise TypeError(f"{kind.kind} is given no phrases")


def number_of(kinds: Sequence[Kind], place: int) -> tuple[int, int]:
    """(number of a kind, how many of it are before): another kind shifts no draw of this one."""
    name = kinds[place].kind
    return KINDS.index(name), sum(kind.kind == name for kind in kinds[:place])


def with_typos(text: str, draw: Draw, edits: int) -> str:
    """Letters of different words swapped, dropped, doubled or mistyped, as far as there are any."""
    words = [match.span() for match in WORD.finditer(text)]
    chosen = sorted(draw.permutation(len(words))[:edits].tolist(), reverse=True)
    for number in chosen:  # from the end: places before it stay
        start, end = words[number]
        text = text[:start] + _mistyped(text[start:end], draw) + text[end:]
    return text


def _mistyped(word: str, draw: Draw) -> str:
    place, how = int(draw.integers(len(word) - 1)), int(draw.integers(4))
    before, one, two, after = word[:place], word[place], word[place + 1], word[place + 2 :]
    near = NEXT_TO.get(one.lower(), "")
    if how == 0 and one != two:
        return before + two + one + after
    if how == 1:
        return before + two + after
    if how == 2 and near:
        other = near[int(draw.integers(len(near)))]
        return before + (other.upper() if one.isupper() else other) + two + after
    return before + one + one + two + after


def without_words(text: str, draw: Draw, rate: float) -> str:
    """Each word left out with that chance; one at least stays."""
    words = text.split()
    kept = [
        word for word, out in zip(words, draw.random(len(words)) < rate, strict=True) if not out
    ]
    return " ".join(kept or words[:1])


def with_words_swapped(text: str, draw: Draw, swaps: int) -> str:
    """Neighbouring words in each other's place."""
    words = text.split()
    for _ in range(swaps if len(words) > 1 else 0):
        i = int(draw.integers(len(words) - 1))
        words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def with_terms_swapped(text: str, draw: Draw, lists: Sequence[Words]) -> str:
    """Every term as another one of its list, with its capitals; the same term always the same."""
    other: dict[str, str] = {}
    for terms in lists:
        by = int(draw.integers(1, len(terms)))  # drawn for each list, whether it occurs or not
        for i, term in enumerate(terms):
            other.setdefault(term.lower(), terms[(i + by) % len(terms)])
    longest_first = sorted(other, key=len, reverse=True)
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"

    def swapped(match: re.Match[str]) -> str:
        return cased(anycase.entry(other, match.group()), match.group())

    return re.sub(pattern, swapped, text, flags=re.IGNORECASE)


def cased(term: str, like: str) -> str:
    """A term with the capitals of another one."""
    if like.isupper() and len(like) > 1:
        return term.upper()
    return term[0].upper() + term[1:] if like[0].isupper() else term


def in_context(text: str, draw: Draw, contexts: Words, words: Mapping[str, Words]) -> str:
    """A sentence before or after the text, words drawn for its slots."""
    sentence = contexts[int(draw.integers(len(contexts)))]
    drawn = {
        slot: words[slot][int(draw.integers(len(words[slot])))] for slot in suites.slots(sentence)
    }
    beside = filled(sentence, drawn)
    return f"{beside} {text}" if draw.random() < 0.5 else f"{text} {beside}"


def filled(sentence: str, words: Mapping[str, str]) -> str:
    """The sentence with a word in each slot; one that begins it with a capital."""
    text = suites.filled(sentence, words)
    return text[:1].upper() + text[1:] if sentence.startswith("{") else text


def negated(
    text: str, label: str, rule: Rule, words: Mapping[str, Words], max_words: int
) -> tuple[str | None, str]:
    """`is bad` as `is not bad`, and its label.

    (None, label) unless the text is short, one word of polarity alone is in it, and that speaks for
    its label: what else it says could keep the label as it is.
    """
    slot, turned = rule.polarity.get(label), rule.becomes.get(label)
    if slot is None or turned is None or len(text.split()) > max_words:
        return None, label
    everything = [word for name in rule.polarity.values() for word in words[name]]
    if len(re.findall(_any_of(everything), text, re.IGNORECASE)) != 1:
        return None, label
    if re.search(rf"{_any_of([rule.by])}|n['’]t\b", text, re.IGNORECASE):
        return None, label  # negated already
    adverbs = rf"(?:(?:{_any_of(rule.adverbs)})\s+)?"
    pattern = rf"({_any_of(rule.after)})\s+(?={adverbs}(?:{_any_of(words[slot])}))"
    changed, count = re.subn(pattern, rf"\1 {rule.by} ", text, flags=re.IGNORECASE)
    return (changed, turned) if count == 1 else (None, label)


def _any_of(words: Sequence[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"


def of_templates(
    key: Sequence[int], phrases: Phrases, rows: int, labels: Sequence[str]
) -> Iterator[Made]:
    """Templates with words in their slots, as many of each as there are, up to its part of `rows`.

    One that no label fits comes once with each label.
    """
    templates = phrases.templates
    for i, template in enumerate(templates):
        part = rows // len(templates) + (i < rows % len(templates))
        names = suites.slots(template.text)
        sizes = [len(phrases.words[name]) for name in names]
        total = int(np.prod(sizes, dtype=object)) if sizes else 1
        draw = np.random.default_rng([*key, i])
        for number in _some_of(total, part, draw):
            drawn = {}
            for name, size in zip(names, sizes, strict=True):
                number, place = divmod(number, size)
                drawn[name] = phrases.words[name][place]
            text = filled(template.text, drawn)
            for label in labels if template.label is None else (template.label,):
                yield Made(text, label, 0)


def _some_of(total: int, most: int, draw: Draw) -> list[int]:
    """Different numbers below `total`, ascending; all, if they are not more than `most`."""
    if total <= most:
        return list(range(total))
    if total < 10**6:
        return sorted(draw.permutation(total)[:most].tolist())
    found: set[int] = set()
    while len(found) < most:
        found.add(int(draw.integers(min(total, 2**62))))
    return sorted(found)
