"""disagreement: two fields, or two artifacts, that cannot both be right. Standard library only: a check costs no import."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Disagreement:
    """What disagrees, and where.

    steps   path of the field that is shown first, from what was checked
    found   what is wrong, and the rule
    remedy  what to do
    others  paths of the other places, each with what stands there
    """

    steps: Steps
    found: str
    remedy: str
    others: tuple[tuple[Steps, str], ...] = ()


# Looks at the plain values of one part of params.yaml, each of which has the right type already.
Check = Callable[[Mapping[str, Any]], Iterator[Disagreement]]
