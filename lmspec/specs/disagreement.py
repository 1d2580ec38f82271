"""disagreement: two fields or artifacts that contradict each other. Standard library only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Disagreement:
    """What disagrees, and where.

    steps   path of the field that is shown first, from the mapping that was checked
    found   what is wrong, and the rule
    remedy  what to do
    others  paths of related places, each with a few words
    """

    steps: Steps
    found: str
    remedy: str
    others: tuple[tuple[Steps, str], ...] = ()


# Gets the plain values of one mapping of params.yaml, each of the right type already.
Check = Callable[[Mapping[str, Any]], Iterator[Disagreement]]


def repeated(names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(position, first position, name) of each name that occurred before."""
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            yield i, first[name], name
