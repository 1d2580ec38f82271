"""duplicates: pairs of texts that are nearly the same. MinHash proposes them, the exact Jaccard similarity decides."""

import zlib
from collections.abc import Iterator, Sequence

from datasketch import MinHash, MinHashLSH

from lmspec.methods.cleaning import normalised
from lmspec.specs.corpus import NearDuplicates

# Any constant does: it names the family of hash functions, and the exact test after it decides alone.
PERMUTATION_SEED = 1


def near_pairs(texts: Sequence[str], rule: NearDuplicates) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of positions whose shingles reach the threshold, ordered by the later one.

    No pair is false; one at the threshold is missed less than once in 10,000, one above it more rarely. Source: Broder
    1997, "On the resemblance and containment of documents"; bands: Leskovec et al., "Mining of Massive Datasets", chapter 3.
    """
    shingles = [_shingles(text, rule.shingle_chars) for text in texts]
    sketches = MinHash.bulk(
        [sorted(s) for s in shingles],
        num_perm=rule.permutations,
        seed=PERMUTATION_SEED,
        hashfunc=zlib.crc32,
    )
    # a false candidate costs one exact comparison, a missed pair a leak: datasketch's own choice weighs them the same
    rows = rule.rows_per_band()
    index = MinHashLSH(num_perm=rule.permutations, params=(rule.permutations // rows, rows))
    for later, sketch in enumerate(sketches):
        for earlier in sorted(index.query(sketch)):
            both = len(shingles[earlier] & shingles[later])
            if both / (len(shingles[earlier]) + len(shingles[later]) - both) >= rule.threshold:
                yield earlier, later
        index.insert(later, sketch)


def _shingles(text: str, length: int) -> set[bytes]:
    text = normalised(text)
    return {text[i : i + length].encode() for i in range(max(1, len(text) - length + 1))}
