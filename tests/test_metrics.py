"""Metrics against independent computations."""

import numpy as np
import pytest
from sklearn import metrics as sk

from lmspec.methods import metrics, quantizing, reading, timing


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of 500 examples of three classes."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, 500), reading.probabilities(
        rng.normal(size=(500, 3)).astype(np.float32)
    )


def test_summary_agrees_with_definitions(scored: tuple[np.ndarray, np.ndarray]) -> None:
    """Accuracy and log loss by hand, macro F1 by its definition."""
    truth, probability = scored
    got = metrics.summary(truth, probability)
    predicted = probability.argmax(1)
    assert got["accuracy"] == np.mean(predicted == truth)
    assert got["log_loss"] == pytest.approx(-np.log(probability[np.arange(500), truth]).mean())
    f1 = [
        2 * ((predicted == k) & (truth == k)).sum() / ((predicted == k).sum() + (truth == k).sum())
        for k in range(3)
    ]
    assert got["macro_f1"] == pytest.approx(np.mean(f1))
    assert metrics.full(truth, probability, ("a", "b", "c"), 10)["f1"]["b"] == pytest.approx(f1[1])


def test_a_class_without_an_example_has_no_f1() -> None:
    """Macro F1 is over the others, also where a text was taken for it; that text is wrong."""
    truth = np.asarray([0, 1, 1])
    right = np.asarray([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]])
    taken = np.asarray([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    assert metrics.summary(truth, right)["macro_f1"] == 1.0
    assert metrics.summary(truth, taken)["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    for probability, f1 in ((right, 1.0), (taken, 2 / 3)):
        found = metrics.full(truth, probability, ("a", "b", "rare"), 10)["f1"]
        assert found == {"a": 1.0, "b": pytest.approx(f1), "rare": None}


def test_calibration_error_bin_by_bin(scored: tuple[np.ndarray, np.ndarray]) -> None:
    """A loop over bins gives the same; a perfectly calibrated and a confidently wrong model give 0
    and 1."""
    truth, probability = scored
    confidence, correct = probability.max(1), probability.argmax(1) == truth
    expected = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence >= low) & ((confidence < low + 0.1) | (low == 0.9))
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    assert metrics.expected_calibration_error(confidence, correct, 10) == pytest.approx(expected)
    assert metrics.expected_calibration_error(
        np.full(4, 0.75), np.asarray([True, True, True, False]), 10
    ) == pytest.approx(0)
    assert metrics.expected_calibration_error(np.ones(3), np.zeros(3, bool), 10) == 1.0


def test_nothing_to_score_is_an_error() -> None:
    """No metric of an empty set is made up."""
    with pytest.raises(ValueError, match="nothing to score"):
        metrics.summary(np.empty(0, int), np.empty((0, 2)))
    with pytest.raises(ValueError, match="nothing to score"):
        metrics.expected_calibration_error(np.empty(0), np.empty(0, bool), 10)


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    """Rows sum to 1, large logits included."""
    got = reading.probabilities(np.asarray([[1000.0, 0.0], [0.0, np.log(3.0)]], np.float32))
    np.testing.assert_allclose(got, [[1.0, 0.0], [0.25, 0.75]], rtol=1e-6)


def test_logits_come_back_in_the_order_of_the_texts() -> None:
    """Batches are sorted by length inside; the caller never sees it."""
    ids = [np.full(n, n, np.int64) for n in (5, 1, 9, 3, 3, 7)]
    got = reading.logits(
        lambda i, m: np.stack([i[:, 0], m.sum(1)], 1).astype(np.float32), ids, 0, 2
    )
    assert got.tolist() == [[n, n] for n in (5, 1, 9, 3, 3, 7)]


def test_loss_of_quantization_counts_flips() -> None:
    """One of four flips; the difference is of the label that was predicted before."""
    before = np.asarray([[2, 0], [0, 2], [1, 0], [0, 1]], np.float32)
    after = before.copy()
    after[2] = [0, 1]
    got = quantizing.loss_of(reading.probabilities(before), reading.probabilities(after))
    p = 1 / (1 + np.exp(-1))
    assert got["disagreement_rate"] == 0.25
    assert got["mean_probability_difference"] == pytest.approx((2 * p - 1) / 4)


def test_timing_takes_turns() -> None:
    """Odd rounds run the other way round, the first round is not counted, and the ratio favours the
    faster."""
    log = []
    one, other = timing.in_turn(
        lambda i: log.append(("a", i)), lambda i: log.append(("b", i)), 2, 3
    )
    assert [name for name, _ in log] == list("bbaa" + "aabb" + "bbaa" + "aabb") or [
        n for n, _ in log
    ] == list("bbaaaabbbbaaaabb")
    assert one.seconds.shape == other.seconds.shape == (3, 2)
    ratio = timing.ratio(
        timing.Timed(np.full((5, 2), 1.0)), timing.Timed(np.full((5, 2), 3.0)), 0.5
    )
    assert ratio == {"median": 3.0, "p5": 3.0, "p95": 3.0}


@pytest.mark.parametrize("spread", [0.1, 1.0, 60.0])
def test_f1_and_log_loss_are_scikit_learns_to_the_last_digit(spread: float) -> None:
    """With labels that lack an example, and with probabilities of 0 and 1."""
    rng = np.random.default_rng(1)
    for labels, rows in ((2, 1), (2, 3000), (5, 17), (7, 400)):
        truth = rng.integers(0, max(1, labels - 1), rows)
        logits = rng.normal(size=(rows, labels)) * spread
        probability = reading.probabilities(logits.astype(np.float32))
        predicted, all_labels = probability.argmax(1), np.arange(labels)
        own = metrics.summary(truth, probability)
        settings = {"zero_division": 0, "labels": np.unique(truth), "average": "macro"}
        assert own["macro_f1"] == sk.f1_score(truth, predicted, **settings)
        assert own["log_loss"] == sk.log_loss(truth, probability, labels=all_labels)
        settings |= {"labels": all_labels, "average": None}
        assert (
            metrics.f1(truth, predicted, labels) == sk.f1_score(truth, predicted, **settings)
        ).all()


def test_what_is_no_probability_is_refused() -> None:
    """A model whose weights are not finite has no log loss."""
    for wrong in (np.nan, -0.1, 1.5):
        with pytest.raises(ValueError, match=r"not in 0\.\.1"):
            metrics.log_loss(np.asarray([0]), np.asarray([[wrong, 0.5]]))


def test_sklearn_agrees_on_confusion(scored: tuple[np.ndarray, np.ndarray]) -> None:
    """The counts of the confusion table are sklearn's."""
    from stages.scores import confusion

    truth, probability = scored
    labels = ("a", "b", "c")
    rows = [
        {"dataset": "s", "label": labels[t], "predicted": labels[p]}
        for t, p in zip(truth, probability.argmax(1), strict=True)
    ]
    counts = [row["examples"] for row in confusion(rows, labels)]
    assert counts == sk.confusion_matrix(truth, probability.argmax(1)).ravel().tolist()
