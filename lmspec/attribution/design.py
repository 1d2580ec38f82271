"""design: which mixes of two commits there are, and which of them give an effect.

A mix is the set of factors that are as in the candidate; the others are as in the baseline. An
effect is a weighted sum of the metric at some mixes.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Mix = frozenset[str]
Weights = Mapping[Mix, float]
BASELINE: Mix = frozenset()


@dataclass(frozen=True)
class Design:
    """The mixes that can be built.

    free       factors that can be combined in any way
    pinned     the toolchain, if it differs: every build of today has one commit's
    installed  that one is the candidate's
    """

    free: tuple[str, ...]
    pinned: str | None = None
    installed: bool = False

    @property
    def factors(self) -> tuple[str, ...]:
        """All that differ."""
        return self.free if self.pinned is None else (*self.free, self.pinned)

    @property
    def candidate(self) -> Mix:
        """The candidate itself."""
        return frozenset(self.factors)

    def mix(self, *free: str) -> Mix:
        """With these as in the candidate, and the pinned factor as installed."""
        return frozenset((*free, self.pinned) if self.pinned and self.installed else free)

    @property
    def mixes(self) -> list[Mix]:
        """All that an effect can need, with both commits, smaller ones first."""
        between = (self.mix(*some) for some in _subsets(self.free))
        return list(dict.fromkeys([BASELINE, *between, self.candidate]))

    @property
    def to_build(self) -> list[Mix]:
        """The mixes that are neither commit."""
        return [mix for mix in self.mixes if mix not in (BASELINE, self.candidate)]

    def total(self) -> Weights:
        """candidate - baseline."""
        return {self.candidate: 1.0, BASELINE: -1.0}

    def alone(self, factor: str) -> Weights | None:
        """What it does to the baseline; None if it is pinned to the baseline's."""
        if factor == self.pinned:
            return {self.mix(): 1.0, BASELINE: -1.0} if self.installed else None
        return {self.mix(factor): 1.0, self.mix(): -1.0}

    def last(self, factor: str) -> Weights | None:
        """What it adds to all other factors; None if it is pinned to the candidate's."""
        without = self.mix(*(name for name in self.free if name != factor))
        if factor == self.pinned:
            return None if self.installed else {self.candidate: 1.0, without: -1.0}
        return {self.mix(*self.free): 1.0, without: -1.0}

    def effect(self, factor: str) -> Weights:
        """Its Shapley value: what it adds, averaged over all orders of change.

        All effects add up to the total. A pinned factor changes first or last.
        Source: Shapley 1953.
        """
        if factor == self.pinned:
            return self.alone(factor) or self.last(factor) or {}
        others = [name for name in self.free if name != factor]
        weights: dict[Mix, float] = {}
        for before in _subsets(others):
            share = 1 / (len(self.free) * math.comb(len(others), len(before)))
            weights |= {self.mix(*before, factor): share, self.mix(*before): -share}
        return weights

    def interaction(self, factors: Sequence[str]) -> Weights:
        """What they do together beyond what fewer of them do, the rest as in the baseline."""
        size = len(factors)
        return {self.mix(*some): (-1.0) ** (size - len(some)) for some in _subsets(factors)}

    def interactions(self) -> Iterator[tuple[str, ...]]:
        """Every two of the free factors, then every three."""
        return (some for some in _subsets(self.free) if len(some) > 1)


def _subsets(items: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Smaller ones first."""
    for size in range(len(items) + 1):
        yield from itertools.combinations(items, size)
