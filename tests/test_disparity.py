"""disparity: rates of groups of texts and gaps between them, beside fairlearn."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.methods import disparity, mentioning, shares
from lmspec.methods.disparity import Answers
from lmspec.specs.groups import Groups
from lmspec.specs.scores import RATES
from stages import grouped_scores

TERMS = [{"name": "women", "words": ["she", "Her"]}, {"name": "men", "words": ["he", "young man"]}]


def drawn(size: int, seed: int = 1, bias: float = 0.0) -> tuple[Answers, dict[str, Any]]:
    """Answers that are right nine times in ten; of the second group less often, by the bias."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, size)
    truth = rng.random(size) < 0.4 + 0.1 * group
    right = rng.random(size) < np.where(group == 1, 0.9 - bias, 0.9)
    made = Answers(truth, truth == right, right, np.arange(size))
    return made, {name: group == i for i, name in enumerate("abc")}


def test_rates_and_gaps_are_fairlearns() -> None:
    """Of each group, and the largest difference."""
    metrics = pytest.importorskip("fairlearn.metrics", reason="pip install -e '.[peers]'")
    from sklearn.metrics import accuracy_score

    answers, groups = drawn(2000)
    of = np.argmax(np.stack(list(groups.values())), 0)
    functions = {
        "accuracy": accuracy_score,
        "positive_rate": metrics.selection_rate,
        "false_positive_rate": metrics.false_positive_rate,
        "false_negative_rate": metrics.false_negative_rate,
    }
    peer = metrics.MetricFrame(
        metrics=functions, y_true=answers.truth, y_pred=answers.answered, sensitive_features=of
    )
    found = disparity.measured(answers, groups, 100, 1)
    for rate in RATES:
        for number, name in enumerate(groups):
            share = found["of"][name][rate]["share"]
            assert share == pytest.approx(peer.by_group[rate][number], abs=1e-6)
        assert found["gap"][rate]["share"] == pytest.approx(peer.difference()[rate], abs=1e-6)


def test_a_biased_copy_has_a_gap_that_its_interval_excludes() -> None:
    """The bound that a gate holds is below 0.1 of the model, and the copy's gap is not."""
    for seed in range(3):
        fair, biased = (
            disparity.measured(*drawn(2400, seed, bias), 200, 1)["gap"]["accuracy"]
            for bias in (0.0, 0.2)
        )
        assert fair["low"] <= fair["share"] <= fair["high"] < 0.1
        assert 0.1 < biased["low"] <= biased["share"] <= biased["high"]


def test_intervals_of_gaps_cover_the_truth() -> None:
    """A planted gap of 0.2 in nearly all of 40 draws, and the upper end in all but a few; each draw
    repeats bit for bit."""
    hits, below = 0, 0
    for seed in range(40):
        found = disparity.measured(*drawn(450, seed, 0.2), 100, seed)["gap"]["accuracy"]
        hits += found["low"] <= 0.2 <= found["high"]
        below += found["high"] >= 0.2
        if not seed:
            again = disparity.measured(*drawn(450, seed, 0.2), 100, seed)
            assert again["gap"]["accuracy"] == found
    assert hits >= 36 and below >= 38


def test_texts_of_one_document_are_drawn_together() -> None:
    """Copies of each text in its document add nothing: the interval stays as wide."""
    answers, groups = drawn(300)
    copied = Answers(*(np.repeat(part, 5) for part in vars(answers).values()))
    wide = disparity.measured(answers, groups, 400, 1)
    own = disparity.measured(copied, {n: np.repeat(g, 5) for n, g in groups.items()}, 400, 1)
    for rate in RATES:
        ends = [each["gap"][rate]["high"] - each["gap"][rate]["low"] for each in (own, wide)]
        assert ends[0] == pytest.approx(ends[1], rel=0.1)
        widths = [
            each["of"]["a"][rate]["high"] - each["of"]["a"][rate]["low"] for each in (own, wide)
        ]
        assert widths[0] > 0.8 * widths[1]


def test_words_are_found_whole_and_in_any_case() -> None:
    """Not in other words; runs of words, signs and other scripts, too."""
    texts = [
        "She left",
        "the shed",
        "HER.",
        "other",
        "a young  man",
        "a Young man",
        "C++ is",
        "她来了",
    ]
    found = [
        mentioning.mentions(texts, words).tolist() for words in (["she", "her"], ["young man"])
    ]
    assert found[0] == [True, False, True, False, False, False, False, False]
    assert found[1] == [False] * 5 + [True] + [False] * 2
    assert mentioning.mentions(texts, ["C++"]).tolist() == [False] * 6 + [True, False]


def test_a_group_without_texts_has_no_rates() -> None:
    """And no part in a gap; with one group left there is none."""
    answers, groups = drawn(90)
    nothing = np.zeros(90, bool)
    found = disparity.measured(
        answers, {"a": groups["a"], "b": groups["b"], "none": nothing}, 100, 1
    )
    assert found["of"]["none"]["texts"] == 0
    assert found["of"]["none"]["accuracy"] == {"share": None, "low": None, "high": None}
    assert found["gap"]["accuracy"]["share"] is not None
    alone = disparity.measured(answers, {"a": groups["a"], "none": nothing}, 100, 1)
    assert alone["gap"]["accuracy"]["share"] is None


def test_groups_are_of_columns_and_of_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A text that has words of both is in both."""
    frame = pl.DataFrame(
        {
            "text": ["she came", "he came", "she and he", "no one"],
            "label": ["good", "bad", "good", "bad"],
            "predicted": ["good", "good", "bad", "bad"],
            "table": ["x", "x", "y", "y"],
            "group": [None, None, "d", "d"],
        }
    )
    test = frame.with_columns(age=pl.Series(["young", None, "old", "old"]))
    by = [
        {"kind": "column", "name": "ages", "column": "age", "values": ["young", "old", "other"]},
        {"kind": "terms", "name": "gender", "terms": TERMS},
        {"kind": "column", "name": "labels", "column": "label"},
        {"kind": "column", "name": "tables", "column": "table"},
    ]
    groups = Groups.model_validate({"positive": "good", "by": by, "draws": 100})
    found = grouped_scores.measured(groups, frame, test, ("bad", "good"), 1)
    assert capsys.readouterr().err.count("no test text is in the groups of ages: other") == 1
    assert [each["texts"] for each in found["ages"]["of"].values()] == [1, 2, 0]
    with pytest.raises(LmspecError, match="keeps no column 'age'"):
        grouped_scores.measured(groups, frame, frame, ("bad", "good"), 1)
    assert [found["gender"]["of"][name]["texts"] for name in ("women", "men")] == [2, 2]
    assert found["gender"]["of"]["women"]["accuracy"]["share"] == 0.5
    assert found["labels"]["of"]["bad"]["false_positive_rate"]["share"] == 0.5
    assert found["tables"]["of"]["x"]["positive_rate"]["share"] == 1.0
    assert shares.documents(frame["group"].to_list()).tolist() == [0, 1, 2, 2]


def test_a_few_texts_without_an_error_prove_no_small_gap() -> None:
    """Any draw of them has none, either: ten and twenty may still be a quarter apart."""
    right = np.ones(30, bool)
    made = Answers(right, right, right, np.arange(30))
    found = disparity.measured(made, {"a": right & (np.arange(30) < 10), "b": right}, 100, 1)
    gap = found["gap"]["accuracy"]
    assert gap["share"] == gap["low"] == 0.0 and gap["high"] > 0.25


def test_a_few_texts_that_are_all_wrong_prove_no_large_gap() -> None:
    """One against two, and eight against eight: draws have no others, and chance makes as much."""
    for one, other, least in ((1, 2, 0.0), (8, 8, 0.4)):
        first = np.arange(one + other) < one
        made = Answers(first, first, first, np.arange(one + other))
        found = disparity.measured(made, {"a": first, "b": ~first}, 100, 1)["gap"]["accuracy"]
        assert found["share"] == found["high"] == 1.0 and least <= found["low"] < 0.6
