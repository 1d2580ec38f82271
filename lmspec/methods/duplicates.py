"""duplicates: texts that are equal, or nearly.

Sketches propose pairs, the exact Jaccard similarity of their shingles decides.
Sources: Broder 1997, "On the resemblance and containment of documents"; bands: Leskovec et al.,
"Mining of Massive Datasets", chapter 3.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from lmspec.methods import nearness
from lmspec.methods.nearness import Buckets, Texts
from lmspec.specs.corpus import NearDuplicates

Found = TypeVar("Found")

SAY_SECONDS = 5.0
# of one group that a bucket keeps for later texts: what is near to none of them, but to another of
# the group, mostly finds it in another bucket
MOST_OF_A_GROUP = 8


def silent(line: str) -> None:
    """Say nothing."""


def equal_pairs(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs (first, later) of positions with the same id."""
    first: dict[str, int] = {}
    for later, name in enumerate(ids):
        if first.setdefault(name, later) != later:
            yield first[name], later


def first_near(
    texts: Sequence[str], rule: NearDuplicates, say: Callable[[str], None] = silent
) -> dict[int, int]:
    """Position of a text -> that of the first one that is kept and near to it.

    Not transitive: a text that is near to an earlier one is not kept, and no other is near to it.
    No pair is false; how many are missed: `nearness.buckets`.
    """
    return _compared(texts, rule, say, leave_out)


def near_pairs(
    texts: Sequence[str], rule: NearDuplicates, say: Callable[[str], None] = silent
) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of near texts that connect all that are near to each other.

    Two texts that others connect are not compared. No pair is false; how many are missed:
    `nearness.buckets`.
    """
    return _compared(texts, rule, say, connect)


def leave_out(texts: Texts, buckets: Buckets, say: Callable[[str], None]) -> dict[int, int]:
    """Texts that are near to an earlier one that is kept -> the first such."""
    found = {}
    for text in range(len(texts)):
        shared = buckets.shared_by(text)
        if not len(shared):
            continue
        earlier = np.unique(buckets.members(text, shared)[0])
        for other in texts.likely(text, earlier).tolist():
            if texts.near(other, text):
                found[text] = other
                break
        else:
            buckets.add(text, shared)
        say(f"compared {text:,} of {len(texts):,} texts")
    return found


def connect(texts: Texts, buckets: Buckets, say: Callable[[str], None]) -> list[tuple[int, int]]:
    """Pairs of near texts, of which none is connected by others."""
    pairs = []
    groups = _Groups(len(texts))
    for text in range(len(texts)):
        shared = buckets.shared_by(text)
        if not len(shared):
            continue
        members, places = buckets.members(text, shared)
        for other in texts.likely(text, np.unique(members)).tolist():
            if groups.of[other] != groups.of[text] and texts.near(other, text):
                pairs.append((other, text))
                groups.join(other, text)
        same = places[groups.of[members] == groups.of[text]]
        crowded, counts = np.unique(same, return_counts=True)
        full = crowded[counts >= MOST_OF_A_GROUP]
        buckets.add(text, shared[~np.isin(shared, full)] if len(full) else shared)
        say(f"compared {text:,} of {len(texts):,} texts")
    return pairs


def _compared(
    texts: Sequence[str],
    rule: NearDuplicates,
    say: Callable[[str], None],
    compare: Callable[[Texts, Buckets, Callable[[str], None]], Found],
) -> Found:
    prepared = nearness.prepared(texts, rule, _sometimes(say))
    buckets = nearness.buckets(prepared, lambda sample, few: compare(sample, few, silent), say)
    found = compare(prepared, buckets, _sometimes(say))
    if buckets.limited:
        count = f"{buckets.limited:,} texts are like more than {buckets.most:,} others"
        say(f"{count}: near-duplicates of them close to {rule.threshold:g} may be missed")
    return found


class _Groups:
    """of: (n,) the group of each position, under a number that joined ones share."""

    def __init__(self, count: int) -> None:
        self.of = np.arange(count)
        self._members: dict[int, list[int]] = defaultdict(list)

    def join(self, one: int, other: int) -> None:
        """Give the smaller group the number of the larger."""
        a, b = int(self.of[one]), int(self.of[other])
        self._members[a] = self._members[a] or [one]
        self._members[b] = self._members[b] or [other]
        if len(self._members[a]) < len(self._members[b]):
            a, b = b, a
        moved = self._members.pop(b)
        self.of[moved] = a
        self._members[a] += moved


def _sometimes(say: Callable[[str], None]) -> Callable[[str], None]:
    """Say a line if the last one was a while ago."""
    last = time.monotonic()

    def saying(line: str) -> None:
        nonlocal last
        if time.monotonic() - last > SAY_SECONDS:
            last = time.monotonic()
            say(line)

    return saying
