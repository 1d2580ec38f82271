"""repeats: which of the rows with the same or nearly the same text is kept, and with what label."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lmspec.methods import duplicates
from lmspec.specs.corpus import NearDuplicates

EXACT = "exact duplicate"
CONTRADICTORY = "contradictory label"
NEAR = "near-duplicate"
NEAR_OTHER_LABEL = "near-duplicate with another label"


class Repeat(NamedTuple):
    """Why a row is left out. other: position of the row that is kept, or that contradicts it."""

    reason: str
    other: int


@dataclass(frozen=True)
class Repeats:
    """What was found.

    of              position -> why that row is left out
    contradictions  the positions of each text that has different labels, in the order of the rows
    """

    of: dict[int, Repeat]
    contradictions: list[list[int]]


def find(
    ids: Sequence[str],
    texts: Sequence[str],
    labels: Sequence[str | None],
    contradictions: Literal["drop", "keep_first", "majority", "keep_all"],
    near: NearDuplicates | None,
    say: Callable[[str], None] = duplicates.silent,
) -> Repeats:
    """Of each text one row, of near-duplicates the earlier one.

    ids             equal for texts that count as the same
    labels          all None where texts have none; of conversations, ids of their answers
    contradictions  which row of a text with different labels is kept; with keep_all, none has any
    """
    same = _same(ids)
    contradictory = [rows for rows in same.values() if len({labels[i] for i in rows}) > 1]
    kept = {rows[0]: rows[0] for rows in same.values()}
    for rows in contradictory:
        choice = _choice([labels[i] for i in rows], contradictions)
        kept[rows[0]] = -1 if choice is None else rows[choice]
    rows = [i for i in kept.values() if i >= 0]
    found = duplicates.first_near([texts[i] for i in rows], near, say) if near else {}
    earlier = {rows[later]: rows[first] for later, first in found.items()}
    of = {}
    for rows in same.values():
        one = kept[rows[0]]
        for i in rows:
            if one < 0:
                of[i] = Repeat(CONTRADICTORY, next(j for j in rows if labels[j] != labels[i]))
            elif i != one:
                agrees = labels[i] == labels[one]
                of[i] = Repeat(EXACT if agrees else CONTRADICTORY, earlier.get(one, one))
            elif i in earlier:
                agrees = labels[i] == labels[earlier[i]]
                of[i] = Repeat(NEAR if agrees else NEAR_OTHER_LABEL, earlier[i])
    return Repeats(of, contradictory)


def _same(ids: Sequence[str]) -> dict[str, list[int]]:
    same: dict[str, list[int]] = {}
    for i, name in enumerate(ids):
        same.setdefault(name, []).append(i)
    return same


def _choice(labels: Sequence[str | None], rule: str) -> int | None:
    """Which of the rows of a text with different labels is kept; None: none of them."""
    if rule == "keep_first":
        return 0
    (label, most), (_, next_most), *_ = Counter(labels).most_common(2)
    return labels.index(label) if rule == "majority" and most > next_most else None
