"""nearness: which earlier texts may be near to a text, in time and memory that grow with the texts.

Two texts are compared if their sketches agree in all rows of some band; a band is a few entries of
the sketch. Where many texts are alike (one template, one house style), bands of few rows would
propose nearly every pair, so there are more bands with more rows each, as many as it takes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.methods import minhash
from lmspec.specs.corpus import NearDuplicates

Positions = NDArray[Any]
Sketches = NDArray[np.uint32]

MISSED = 1e-4  # pairs exactly at the threshold that no band proposes
MOST_BANDS = 384
MOST_IN_BUCKET = 255  # texts that a later one is compared with for one band
MOST_PROPOSED = 4096  # by all bands for one text, the smallest buckets first; more if texts are few
MOST_IN_ALL = 40_000_000  # what may be proposed for few texts
MOST_COMPARED = 64  # exactly, with one text; the most similar sketches first
CACHED_CHARS = 5_000_000  # of texts whose shingles are kept
DEVIATIONS = 4.5  # standard deviations by which a sketch may underestimate: once in 300,000
DRAW = 1  # of the entries in each band; any value does


class Texts:
    """Texts, their sketches, and their exact similarity."""

    def __init__(self, texts: Sequence[str], sketches: Sketches, rule: NearDuplicates) -> None:
        self.texts, self.sketches, self.rule = texts, sketches, rule
        size, similarity = sketches.shape[1], rule.threshold
        # One bit of each entry, then eight, tell most of those apart that are not similar.
        bits = np.packbits((sketches & np.uint32(1)).astype(bool), axis=1)
        self._bits = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)
        self._bytes = (sketches >> np.uint32(1)).astype(np.uint8)
        self._differing = size - _lowest(size, (1 + similarity) / 2)
        self._agreeing = _lowest(size, similarity)
        self._cached: dict[int, set[str]] = {}
        self._cached_chars = 0

    def __len__(self) -> int:
        return len(self.texts)

    def sample(self, size: int) -> "Texts":
        """Evenly spaced ones, in their order."""
        chosen = np.linspace(0, len(self) - 1, size).astype(int)
        return Texts([self.texts[i] for i in chosen], self.sketches[chosen], self.rule)

    def likely(self, text: int, others: Positions) -> Positions:
        """Of the others, those that may reach the threshold by their sketches; at most 64."""
        differing = np.bitwise_count(self._bits[others] ^ self._bits[text]).sum(axis=1)
        others = others[differing <= self._differing]
        if len(others):
            agreeing = (self._bytes[others] == self._bytes[text]).sum(axis=1)
            enough = agreeing >= self._agreeing
            others, agreeing = others[enough], agreeing[enough]
        if len(others) > MOST_COMPARED:
            best = np.argsort(-agreeing, kind="stable")[:MOST_COMPARED]
            others = np.sort(others[best])
        return others

    def near(self, one: int, other: int) -> bool:
        """Whether their similarity reaches the threshold, exactly."""
        a, b = self._shingles(one), self._shingles(other)
        common = len(a & b)
        return common / (len(a) + len(b) - common) >= self.rule.threshold

    def _shingles(self, text: int) -> set[str]:
        if text not in self._cached:
            if self._cached_chars > CACHED_CHARS:
                self._cached, self._cached_chars = {}, 0
            self._cached[text] = minhash.shingles(self.texts[text], self.rule.shingle_chars)
            self._cached_chars += len(self.texts[text])
        return self._cached[text]


class Buckets:
    """Texts by the rows of each band. A text finds those that were added before it.

    A bucket is a run of `_slots`: as long as there are texts that fall into it, which is known from
    the start; one for a single text is none.
    """

    def __init__(self, sketches: Sketches, rows: int, bands: int) -> None:
        count, size = sketches.shape
        self._starts = np.empty((count, bands), np.int32 if count * bands < 2**31 else np.int64)
        begin = 0
        for band, columns in enumerate(_columns(size, rows, bands)):
            key = np.zeros(count, np.uint64)
            for column in columns:
                key *= minhash.BASE
                key += sketches[:, column]
            _, bucket, sizes = np.unique(key, return_inverse=True, return_counts=True)
            room = np.where(sizes > 1, np.minimum(sizes, MOST_IN_BUCKET), 0)
            starts = np.where(sizes > 1, begin + np.cumsum(room) - room, -1)
            self._starts[:, band] = starts[bucket]
            begin += int(room.sum())
        self._slots = np.zeros(begin, np.int32)
        self._filled = np.zeros(begin, np.uint8)  # of a bucket, at its start
        self.proposed = np.zeros(count, np.int64)  # texts to each text
        self.most = max(MOST_PROPOSED, MOST_IN_ALL // max(1, count))
        self.limited = 0  # texts for which more were proposed

    def shared_by(self, text: int) -> Positions:
        """Buckets that the text shares with another."""
        starts: Positions = self._starts[text]
        return starts[starts >= 0]

    def members(self, text: int, buckets: Positions) -> tuple[Positions, Positions]:
        """(texts, buckets) of what has been added to these, for a text.

        If there are too many, the fullest buckets are left out.
        """
        sizes = self._filled[buckets].astype(np.int64)
        if sizes.sum() > self.most:
            self.limited += 1
            by_size = np.argsort(sizes, kind="stable")
            fit = by_size[np.cumsum(sizes[by_size]) <= self.most]
            buckets, sizes = buckets[fit], sizes[fit]
        total = int(sizes.sum())
        self.proposed[text] = total
        within = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._slots[np.repeat(buckets, sizes) + within], np.repeat(buckets, sizes)

    def add(self, text: int, buckets: Positions) -> None:
        """Let later texts find this one; not in a bucket that is full."""
        buckets = buckets[self._filled[buckets] < MOST_IN_BUCKET]
        self._slots[buckets + self._filled[buckets]] = text
        self._filled[buckets] += 1


def prepared(texts: Sequence[str], rule: NearDuplicates, say: Callable[[str], None]) -> Texts:
    """Texts that can be compared."""
    return Texts(texts, minhash.sketches(texts, rule.shingle_chars, rule.permutations, say), rule)


PROBE = 2000  # texts that are compared to learn how alike all are
ROW, PAIR = 0.25, 0.06  # microseconds per text and band, and per proposed text
MOST_MICROSECONDS = 150.0  # per text: 100,000 texts in 15 s


def buckets(
    texts: Texts, compare: Callable[[Texts, Buckets], object], say: Callable[[str], None]
) -> Buckets:
    """The bands that are cheapest, judged by a sample of the texts.

    If all that find the pairs at the threshold are too dear, the finest need find only those
    halfway between the threshold and equality.
    compare  goes through all texts in order, and asks the buckets
    """
    rule, size = texts.rule, texts.sketches.shape[1]
    rows = rule.rows_per_band()
    first = (rows, rule.permutations // rows)
    if len(texts) <= 2 * PROBE:
        return Buckets(texts.sketches, *first)
    sample = texts.sample(PROBE)
    cheapest, least = first, _cost(sample, first, compare, len(texts))
    for choice in finer(rows, size, rule.threshold):
        if least <= MOST_MICROSECONDS and choice[1] == MOST_BANDS:
            break
        cost = _cost(sample, choice, compare, len(texts))
        if cost < least:
            cheapest, least = choice, cost
    share = missed(*cheapest, size, rule.threshold)
    if share > 2 * MISSED:
        lost = f"{100 * share:.2g} % are missed"
        say(f"many texts are alike: of pairs right at {rule.threshold:g}, {lost}")
    return Buckets(texts.sketches, *cheapest)


def finer(rows: int, size: int, threshold: float) -> Iterator[tuple[int, int]]:
    """Bands of more rows, and more of them: as many as are needed, or as there may be."""
    for more in range(rows + 1, size):
        if bands_for(more, size, (1 + threshold) / 2) > MOST_BANDS:
            return
        yield more, min(MOST_BANDS, bands_for(more, size, threshold))


def _cost(
    sample: Texts,
    choice: tuple[int, int],
    compare: Callable[[Texts, Buckets], object],
    count: int,
) -> float:
    """Microseconds per text, if what is proposed goes on growing as in the sample."""
    tried = Buckets(sample.sketches, *choice)
    compare(sample, tried)
    half = len(sample) // 2
    one, other = tried.proposed[:half].mean(), tried.proposed[half:].mean()
    slope = max(0.0, float(other - one) / half)
    return ROW * choice[1] + PAIR * (float(other) + slope * (count / 2 - 1.5 * half))


@cache
def bands_for(rows: int, size: int, similarity: float) -> int:
    """Bands of so many rows that miss a pair at this similarity less than once in 10,000."""
    bands = 1
    while bands <= MOST_BANDS and missed(rows, bands, size, similarity) > MISSED:
        bands += max(1, bands // 16)
    return bands


def missed(rows: int, bands: int, size: int, similarity: float) -> float:
    """Probability that no band proposes a pair at this similarity.

    The bands' entries are drawn from one sketch, of which a binomial number agrees.
    """
    agreeing = np.arange(size + 1)
    whole = np.ones(size + 1)  # probability that a band agrees
    for row in range(rows):
        whole *= np.maximum(0, agreeing - row) / (size - row)
    return float(_binomial(size, similarity) @ (1 - whole) ** bands)


@cache
def _binomial(size: int, chance: float) -> NDArray[np.float64]:
    return np.array(
        [math.comb(size, k) * chance**k * (1 - chance) ** (size - k) for k in range(size + 1)]
    )


def _columns(size: int, rows: int, bands: int) -> list[Positions]:
    """Entries of each band: disjoint ones where the sketch has that many, drawn ones otherwise."""
    if rows * bands <= size:
        return list(np.arange(rows * bands).reshape(bands, rows))
    draw = np.random.default_rng(DRAW)
    return [draw.choice(size, rows, replace=False) for _ in range(bands)]


def _lowest(size: int, chance: float) -> int:
    """The fewest of `size` entries that agree, short of very bad luck."""
    return math.floor(size * chance - DEVIATIONS * math.sqrt(size * chance * (1 - chance)))
