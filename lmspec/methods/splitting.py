"""splitting: assign documents to splits: whole groups, stratified by label and table."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

SPLITS = ("train", "dev", "test")
NONE: Mapping[str, str] = {}


def components(
    size: int, groups: Sequence[Hashable | None], pairs: Iterable[tuple[int, int]]
) -> list[list[int]]:
    """Positions that must share a split: connected components of equal groups and of pairs.

    Ordered by first position.
    """
    parent = list(range(size))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(a: int, b: int) -> None:
        low, high = sorted((root(a), root(b)))
        parent[high] = low

    first: dict[Hashable, int] = {}
    for i, group in enumerate(groups):
        if group is not None:
            join(first.setdefault(group, i), i)
    for a, b in pairs:
        join(a, b)
    members = defaultdict(list)
    for i in range(size):
        members[root(i)].append(i)
    return [members[i] for i in sorted(members)]


def assign(
    units: Sequence[Sequence[int]],
    ids: Sequence[str],
    strata: Sequence[Hashable],
    fractions: Sequence[float],
    seed: int,
    earlier: Mapping[str, str] = NONE,
) -> list[str]:
    """Choose the split of each position.

    units      positions that stay together; each position is in exactly one
    ids        (n,) document ids: the draw depends on them, not on the order of rows
    strata     (n,) kept in proportion, such as (label, table)
    fractions  of train, dev, test
    earlier    id -> the split where it stays. Of a unit with several the test split counts before
               dev, and that before train: what was tested once is learned by no later model

    Those come first. Large units go first, then in the order of a keyed hash. Each goes to the
    split that is left with the most room, relative to its share: in the unit's strata, and in the
    whole, since a stratum of a few rows cannot be in proportion.
    """
    total = Counter(strata)
    shares = {
        split: fraction for split, fraction in zip(SPLITS, fractions, strict=True) if fraction > 0
    }
    weight = {stratum: min(1.0, min(shares.values()) * rows) for stratum, rows in total.items()}
    have = {split: Counter[Hashable]() for split in SPLITS}
    sides = [""] * len(ids)
    order = sorted(units, key=lambda u: (-len(u), _draw(min(ids[i] for i in u), seed)))
    fixed = {id(unit): found for unit in order if (found := _of_earlier(unit, ids, earlier))}
    for unit in sorted(order, key=lambda unit: id(unit) not in fixed):
        counts = Counter(strata[i] for i in unit)

        def room(split: str, counts: Counter[Hashable] = counts) -> float:
            share, here = shares[split], have[split]
            own = math.fsum(
                n * weight[s] * (1 - (here[s] + n) / (share * total[s])) for s, n in counts.items()
            )
            return own / counts.total() + 1 - (here.total() + counts.total()) / (share * len(ids))

        split = fixed.get(id(unit)) or max(shares, key=room)
        have[split].update(counts)
        for i in unit:
            sides[i] = split
    return sides


def _of_earlier(unit: Sequence[int], ids: Sequence[str], earlier: Mapping[str, str]) -> str | None:
    """Where a unit stays; None if none of it was anywhere."""
    found = {earlier[ids[i]] for i in unit if ids[i] in earlier}
    return next((split for split in reversed(SPLITS) if split in found), None)


def _draw(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
