"""What is known of a metric of which hardly an answer is wrong, or changed."""

import sys
import time

import numpy as np
import pytest
from scipy import stats

from lmspec.compare import bounds
from lmspec.statistics import exact, margins, predictions
from lmspec.statistics import paired as samples
from lmspec.statistics.paired import SplitMetric
from tests.test_statistics import paired, side, two_models

SIZE = 300


def certain(right: np.ndarray, group: np.ndarray | None = None) -> predictions.Predictions:
    """Answers of two labels in turn, right where the argument says so."""
    truth = np.arange(len(right)) % 2
    probability = np.full((len(right), 3), 0.05)
    probability[np.arange(len(right)), np.where(right, truth, 1 - truth)] = 0.9
    return side(truth, probability, group)


def flipped(*places: int, size: int = SIZE) -> np.ndarray:
    right = np.ones(size, np.bool_)
    right[list(places)] = False
    return right


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "f1.a", "f1.b"])
def test_what_one_answer_moves_is_what_it_moves_when_it_flips(name: str) -> None:
    """Recomputed with one more wrong answer of a class, the larger of both ways."""
    scale = predictions.Scale(("a", "b"), 10)
    begin = flipped(*range(12))

    def value(right: np.ndarray) -> float:
        parts = scale.parts(certain(right)).sum(0)
        return float(scale.metric(name, parts[scale.columns(name)]))

    label, effects = scale.classes(
        name, certain(begin), np.arange(SIZE), scale.parts(certain(begin)).sum(0)
    )
    for number in range(2):
        places = [
            int(np.flatnonzero((np.arange(SIZE) % 2 == number) & (begin == was))[0])
            for was in (True, False)
        ]
        moved = []
        for place in places:
            other = begin.copy()
            other[place] = not other[place]
            moved.append(abs(value(other) - value(begin)))
        assert effects[label[number]] == pytest.approx(max(moved), rel=0.05)


def test_the_reach_of_accuracy_is_tangos_and_clopper_and_pearsons() -> None:
    """All answers are of one class to it."""
    old, new = certain(flipped(1, 2, 3)), certain(flipped(3, 4))
    below, above = paired(old, new).margin(SplitMetric("accuracy", None)).at(0.95)
    seen = (2 - 1) / SIZE
    assert (seen - below, seen + above) == pytest.approx(exact.tango(2, 1, SIZE, 0.95))
    alone = samples.Sample(new, predictions.Scale(("a", "b", "c"), 10))
    below, above = alone.margin(SplitMetric("accuracy", None)).at(0.95)
    assert (298 / SIZE - below, 298 / SIZE + above) == pytest.approx(
        exact.clopper_pearson(298, SIZE, 0.95)
    )


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "f1.a"])
def test_where_no_answer_changed_more_examples_tell_more_and_none_tells_all(name: str) -> None:
    """Bounds are finite and hold 0, nearer with every example; in a few documents they are far."""
    widths = []
    for size in (50, 500, 5_000):
        same = certain(flipped(0, 1, size=size))
        found = bounds.of_pairs(paired(same, same), SplitMetric(name, None), 0.95)
        assert -1 < found.low < 0 < found.high < 1
        widths.append(found.high - found.low)
    assert widths[0] > 5 * widths[1] > 25 * widths[2]
    documents = certain(flipped(0, 1, size=500), np.arange(500) // 50)
    found = bounds.of_pairs(paired(documents, documents), SplitMetric(name, None), 0.95)
    assert found.high - found.low > 5 * widths[1]


def test_one_positive_flip_is_no_proof_that_nothing_broke() -> None:
    """Replicates of it never say less than 0, and the bound does."""
    old, new = certain(flipped(0, 1, size=50)), certain(flipped(1, size=50))
    found = paired(old, new)
    for name in ("accuracy", "macro_f1"):
        part = SplitMetric(name, None)
        assert found.difference(part).replicates.min() >= 0
        assert bounds.of_pairs(found, part, 0.95).low < -0.02


def test_where_many_answers_changed_the_bootstrap_alone_decides() -> None:
    """Nearly: exact intervals cost a tenth of the width at most."""
    found = paired(*two_models(2_000, 4))
    for name in ("accuracy", "macro_f1", "f1.b"):
        part = SplitMetric(name, None)
        plain, wide = found.difference(part), bounds.of_pairs(found, part, 0.95)
        assert 0.999 < (wide.high - wide.low) / (plain.bound(0.95) - plain.bound(0.05)) < 1.1


def test_an_empty_class_has_no_part_in_it() -> None:
    """Of three labels the third has no example."""
    reach = margins.of_level(flipped(0), np.arange(SIZE) % 2, np.array([0.1, 0.2, 0.3]), 1.0)
    assert np.isfinite(reach.at(0.95)).all()


@pytest.mark.parametrize(
    ("old", "old_size", "new", "new_size"),
    [
        (0, 1, 0, 1),
        (3, 40, 9, 31),
        (120, 500, 90, 300),
        (9_000, 20_000, 9_200, 20_000),
        (70, 900, 1_234, 20_000),
    ],
)
def test_fishers_test_is_that_of_scipy(old: int, old_size: int, new: int, new_size: int) -> None:
    """Also of sizes that are far apart."""
    peer = stats.fisher_exact([[old, old_size - old], [new, new_size - new]])[1]
    assert exact.fisher(old, old_size, new, new_size) == pytest.approx(peer)


def test_no_p_of_two_shares_is_nothing() -> None:
    """Where it is too small for a number it is the smallest; two times five million are quick."""
    begun = time.process_time()
    assert exact.fisher(0, 5_000_000, 5_000_000, 5_000_000) == sys.float_info.min
    assert 0.1 < exact.fisher(2_500_000, 5_000_000, 2_501_500, 5_000_000) < 0.5
    assert time.process_time() - begun < 5
