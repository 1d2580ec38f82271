"""Near-duplicates: all that the exact similarity says are found, however alike the texts are and
however many processors look, in time that grows with their number."""

import random
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest

from lmspec.methods import duplicates, minhash, nearness, splitting, workers
from lmspec.specs.corpus import NearDuplicates
from tests.neighbours import WORDS, jaccard, sentences, with_neighbours

NEAR = {"shingle_chars": 3, "threshold": 0.6, "permutations": 128}
CORPUS = NearDuplicates(shingle_chars=5, threshold=0.8, permutations=128)  # what init writes
SPLITS = NearDuplicates(shingle_chars=5, threshold=0.5, permutations=256)


def together(texts: Sequence[str], pairs: Sequence[tuple[int, int]]) -> set[frozenset[str]]:
    """The texts of each component."""
    parts = splitting.components(len(texts), [None] * len(texts), pairs)
    return {frozenset(texts[i] for i in part) for part in parts}


def exactly_near(texts: Sequence[str], rule: NearDuplicates) -> list[tuple[int, int]]:
    """All pairs that reach the threshold, by comparing each with each."""
    return [
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if jaccard(texts[i], texts[j], rule.shingle_chars) >= rule.threshold
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_near_pairs_connect_what_the_exact_similarity_connects(seed: int, threshold: float) -> None:
    """Against all pairs compared exactly: the same texts stay together, and no pair is false."""
    texts, rule = with_neighbours(seed), NearDuplicates(**{**NEAR, "threshold": threshold})
    exact, found = exactly_near(texts, rule), duplicates.near_pairs(texts, rule)
    assert set(found) <= set(exact) and len(exact) >= 15
    assert together(texts, found) == together(texts, exact)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_text_is_left_out_if_it_is_near_to_an_earlier_one_that_is_kept(seed: int) -> None:
    """Against all pairs compared exactly: for each text the first kept one; not transitive."""
    texts, rule = with_neighbours(seed), NearDuplicates(**NEAR)
    expected: dict[int, int] = {}
    for earlier, later in sorted(exactly_near(texts, rule), key=lambda pair: pair[::-1]):
        if earlier not in expected:
            expected.setdefault(later, earlier)
    assert duplicates.first_near(texts, rule) == expected and len(expected) >= 20


def test_near_pairs_do_not_depend_on_the_order_of_the_texts() -> None:
    """Another order keeps the same texts together; the same order gives the same list."""
    texts, rule = with_neighbours(4), NearDuplicates(**NEAR)
    other = random.Random(0).sample(texts, len(texts))
    one, another = (together(t, duplicates.near_pairs(t, rule)) for t in (texts, other))
    assert one == another
    assert duplicates.near_pairs(texts, rule) == duplicates.near_pairs(texts, rule)


def test_near_pairs_of_short_texts() -> None:
    """A text shorter than a shingle is one shingle: it is near to itself in another case and to
    nothing else."""
    rule = NearDuplicates.model_validate(NEAR)
    assert list(duplicates.near_pairs(["a", "b", "A ", "ab"], rule)) == [(0, 2)]
    assert list(duplicates.near_pairs([], rule)) == []


@pytest.mark.parametrize(("threshold", "permutations"), [(1.0, 128), (0.9, 16)])
def test_near_pairs_with_a_threshold_close_to_one(threshold: float, permutations: int) -> None:
    """The spec admits them, so they must work."""
    rule = NearDuplicates(shingle_chars=3, threshold=threshold, permutations=permutations)
    assert list(duplicates.near_pairs(["abcabc", "abcabcabc", "xyz"], rule)) == [(0, 1)]


def alike(pair: int) -> tuple[str, str]:
    """Two texts that have 14 of 25 shingles of two characters in common, and none with another
    pair."""
    signs = [chr(0x4E00 + 36 * pair + i) for i in range(36)]
    return "".join(signs[:20]), "".join(signs[:15] + signs[30:])


def test_near_pairs_include_the_threshold_itself() -> None:
    """A similarity of 14 / 25 reaches a threshold of 0.56."""
    assert jaccard(*alike(0), 2) == 0.56
    assert list(
        duplicates.near_pairs(
            alike(0), NearDuplicates(shingle_chars=2, threshold=0.56, permutations=512)
        )
    ) == [(0, 1)]


def test_near_pairs_find_most_pairs_close_to_the_threshold() -> None:
    """With the most permutations, nine of ten pairs that are just above it."""
    texts = [text for pair in range(100) for text in alike(pair)]
    found = list(
        duplicates.near_pairs(
            texts, NearDuplicates(shingle_chars=2, threshold=0.55, permutations=512)
        )
    )
    assert len(found) >= 90


def crowd(count: int, seed: int = 1) -> list[str]:
    """Texts of one template; a random pair has a similarity of about a quarter."""
    draw = random.Random(seed)
    names = [" ".join(draw.choices(WORDS, k=2)) for _ in range(300)]
    return [
        f"Dear {draw.choice(names)}, your order {draw.randrange(10**8):08d} "
        f"for {draw.choice(names)} and {draw.choice(names)} leaves on {draw.randint(1, 28)} May."
        for _ in range(count)
    ]


def planted(texts: list[str], seed: int = 2) -> tuple[list[str], list[tuple[int, int]]]:
    """The texts with 200 edited copies of them, and which is whose."""
    draw, pairs, texts = random.Random(seed), [], list(texts)
    for i in draw.sample(range(len(texts)), 200):
        letters = list(texts[i])
        letters[draw.randrange(len(letters))] = "q"
        pairs.append((i, len(texts)))
        texts.append("".join(letters))
    return texts, pairs


@pytest.mark.parametrize("make", [crowd, lambda count: sentences(count, 5)])
def test_edited_copies_are_found_among_many_texts(make: Callable[[int], list[str]]) -> None:
    """In a crowd of texts of one template as among texts that have nothing in common."""
    texts, pairs = planted(make(5000))
    kept = [(a, b) for a, b in pairs if jaccard(texts[a], texts[b], 5) >= 0.8]
    assert len(kept) >= 50 and {b for _, b in kept} <= set(duplicates.first_near(texts, CORPUS))


def test_comparisons_grow_with_the_texts_and_not_with_their_square() -> None:
    """Texts that differ in a number alone: each is compared with the few that are kept."""
    texts = [
        f"Your order number {i:06d} has been received and will be shipped within three days."
        for i in range(6000)
    ]
    counts = []
    for size in (1500, 6000):
        prepared = nearness.prepared(texts[:size], CORPUS, duplicates.silent)
        buckets = nearness.Buckets(prepared.sketches, 5, 25)
        duplicates.leave_out(prepared, buckets, duplicates.silent)
        counts.append(int(buckets.proposed.sum()))
    assert counts[1] <= 8 * counts[0]  # the square would be 16 times
    assert len(texts) - len(duplicates.first_near(texts, CORPUS)) < 200
    assert len(together(texts, duplicates.near_pairs(texts, SPLITS))) == 1


def test_workers_decide_nothing_but_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process and several give the same sketches."""
    texts = sentences(300, 6)
    alone = minhash.sketches(texts, 5, 64, duplicates.silent)
    monkeypatch.setattr(workers, "WORTH_CHARS", 1)
    monkeypatch.setattr(workers, "processors", lambda: 2)
    monkeypatch.setattr(minhash, "CACHED_CHARS", 100)
    assert np.array_equal(alone, minhash.sketches(texts, 5, 64, duplicates.silent))


def test_equal_entries_of_sketches_estimate_the_similarity() -> None:
    """Without bias, and no worse than independent permutations; for short texts and long ones."""
    draw = random.Random(7)
    for length in (1, 7, 40, 900):
        errors = []
        for _ in range(60):
            signs = [chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(2 * length)]
            texts = ["".join(signs[:length]), "".join(signs[: length // 2] + signs[length:])]
            one, other = (minhash.shingles(text, 2) for text in texts)
            similarity = len(one & other) / len(one | other)
            first, second = minhash.sketches(texts, 2, 128, duplicates.silent)
            errors.append(float((first == second).mean()) - similarity)
        assert abs(np.mean(errors)) < 0.02 and np.std(errors) < 0.06


def test_finer_bands_still_find_what_is_halfway_to_equality() -> None:
    """Whatever bands are chosen: less than one pair in 10,000 is missed there, at the threshold
    only if more bands would be needed than there may be."""
    for rule in (CORPUS, SPLITS):
        choices = [*nearness.finer(rule.rows_per_band(), rule.permutations, rule.threshold)]
        assert len(choices) > 5
        for rows, bands in choices:
            halfway = nearness.missed(rows, bands, rule.permutations, (1 + rule.threshold) / 2)
            at_threshold = nearness.missed(rows, bands, rule.permutations, rule.threshold)
            assert halfway <= 1e-4 and (at_threshold <= 1e-4 or bands == nearness.MOST_BANDS)
