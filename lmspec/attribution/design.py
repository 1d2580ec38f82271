"""design: which mixes of two commits there are, and what of a metric at each of them makes an effect or an interaction.

A corner is a mix: the names of the factors that are as in the new commit; the others are as in the old one. An effect is a sum
of the metric at some corners, each with a weight.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Corner = frozenset[str]
Weights = Mapping[Corner, float]
OLD: Corner = frozenset()


@dataclass(frozen=True)
class Design:
    """Which mixes there are.

    free       factors of which any mix can be had
    pinned     a factor that every build of today has in one state, as the toolchain; None: there is none
    installed  that state is the new commit's, not the old one's
    """

    free: tuple[str, ...]
    pinned: str | None = None
    installed: bool = False

    @property
    def factors(self) -> tuple[str, ...]:
        """All that differ."""
        return (*self.free, *([self.pinned] if self.pinned else []))

    @property
    def new(self) -> Corner:
        """The new commit."""
        return frozenset(self.factors)

    def corner(self, *free: str) -> Corner:
        """With these as in the new commit, and what is pinned as it is installed."""
        return frozenset((*free, *([self.pinned] if self.pinned and self.installed else [])))

    @property
    def corners(self) -> list[Corner]:
        """All that an effect can need, both commits among them; few factors of the new commit first."""
        mixes = (
            self.corner(*some)
            for size in range(len(self.free) + 1)
            for some in itertools.combinations(self.free, size)
        )
        return list(dict.fromkeys([OLD, *mixes, self.new]))

    @property
    def hybrids(self) -> list[Corner]:
        """The corners that are neither commit: they must be built."""
        return [corner for corner in self.corners if corner not in (OLD, self.new)]

    def total(self) -> Weights:
        """new - old."""
        return _sum([(self.new, 1.0), (OLD, -1.0)])

    def alone(self, factor: str) -> Weights | None:
        """What it does to the old commit; None for one that is pinned there."""
        if factor == self.pinned:
            return _sum([(self.corner(), 1.0), (OLD, -1.0)]) if self.installed else None
        return _sum([(self.corner(factor), 1.0), (self.corner(), -1.0)])

    def last(self, factor: str) -> Weights | None:
        """What it adds when all others are as in the new commit; None for one that is pinned there."""
        if factor == self.pinned:
            return (
                None if self.installed else _sum([(self.new, 1.0), (self.corner(*self.free), -1.0)])
            )
        others = [other for other in self.free if other != factor]
        return _sum([(self.corner(*self.free), 1.0), (self.corner(*others), -1.0)])

    def effect(self, factor: str) -> Weights:
        """Its Shapley value: what it adds, as the mean over all orders of change. With two factors the mean of alone and last.

        All effects together are the total. What is pinned comes first, or last. Source: Shapley 1953.
        """
        if factor == self.pinned:
            return self.alone(factor) or self.last(factor) or {}
        others, count = [other for other in self.free if other != factor], len(self.free)
        terms: list[tuple[Corner, float]] = []
        for size in range(count):
            share = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for some in itertools.combinations(others, size):
                terms += [(self.corner(*some, factor), share), (self.corner(*some), -share)]
        return _sum(terms)

    def interaction(self, factors: tuple[str, ...]) -> Weights:
        """What they do together beyond what fewer of them do, with the rest as in the old commit."""
        return _sum(
            (self.corner(*some), (-1.0) ** (len(factors) - size))
            for size in range(len(factors) + 1)
            for some in itertools.combinations(factors, size)
        )

    def interactions(self) -> Iterator[tuple[str, ...]]:
        """Every two of the free factors, then every three."""
        for size in range(2, len(self.free) + 1):
            yield from itertools.combinations(self.free, size)


def _sum(terms: Iterable[tuple[Corner, float]]) -> dict[Corner, float]:
    found: dict[Corner, float] = {}
    for corner, weight in terms:
        found[corner] = found.get(corner, 0.0) + weight
    return {corner: weight for corner, weight in found.items() if weight}
