"""duplicates: pairs of texts that are equal, or nearly.

MinHash proposes pairs, the exact Jaccard similarity decides.
"""

import zlib
from collections.abc import Iterator, Sequence

from datasketch import MinHash, MinHashLSH

from lmspec.methods.cleaning import normalised
from lmspec.specs.corpus import NearDuplicates

# names the family of hash functions; any value does, since the exact test decides
PERMUTATION_SEED = 1


def equal_pairs(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs (first, later) of positions with the same id."""
    first: dict[str, int] = {}
    for later, name in enumerate(ids):
        if first.setdefault(name, later) != later:
            yield first[name], later


def near_pairs(texts: Sequence[str], rule: NearDuplicates) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of positions whose shingles reach the threshold, by the later one.

    No pair is false. One exactly at the threshold is missed less than once in 10,000.
    Source: Broder 1997, "On the resemblance and containment of documents"; bands: Leskovec et al.,
    "Mining of Massive Datasets", chapter 3.
    """
    shingles = [_shingles(text, rule.shingle_chars) for text in texts]
    sketches = MinHash.bulk(
        [sorted(s) for s in shingles],
        num_perm=rule.permutations,
        seed=PERMUTATION_SEED,
        hashfunc=zlib.crc32,
    )
    # A false candidate costs one exact comparison, a missed pair is a leak from train to test:
    # datasketch's default number of bands weighs them the same.
    rows = rule.rows_per_band()
    index = MinHashLSH(num_perm=rule.permutations, params=(rule.permutations // rows, rows))
    for later, sketch in enumerate(sketches):
        for earlier in sorted(index.query(sketch)):
            common = len(shingles[earlier] & shingles[later])
            total = len(shingles[earlier]) + len(shingles[later]) - common
            if common / total >= rule.threshold:
                yield earlier, later
        index.insert(later, sketch)


def _shingles(text: str, length: int) -> set[bytes]:
    text = normalised(text)
    return {text[i : i + length].encode() for i in range(max(1, len(text) - length + 1))}
