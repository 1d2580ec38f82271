"""contrasts: pairs of texts that differ in one word, and the answers that they call for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SWAP = "swap"  # the slot in which the texts of a pair differ
POSITIONS = ("first", "before", "word", "after", "last")  # of a text: see methods/interchange.py


@dataclass(frozen=True)
class Pair:
    """Two texts. template: what pairs have in common that were made from one."""

    id: str
    contrast: str
    template: str
    one: str
    other: str
    answers: tuple[str, str]


@dataclass(frozen=True)
class Contrast:
    """Pairs of one kind.

    place    file and line
    pairs    (template, one text, the other)
    answers  of the one, and of the other: labels, or texts that a model may write
    """

    name: str
    place: str
    pairs: tuple[tuple[str, str, str], ...]
    answers: tuple[str, str]


def pairs(contrasts: Sequence[Contrast]) -> Iterator[Pair]:
    """All of them in the order of the file; an id is the name of the contrast, and a number."""
    for each in contrasts:
        for number, (template, one, other) in enumerate(each.pairs, start=1):
            yield Pair(f"{each.name}/{number}", each.name, template, one, other, each.answers)
