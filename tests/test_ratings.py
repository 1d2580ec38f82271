"""Labels of several people's ratings: models that are right, raters at random, damaged files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.methods import crowd, reliability
from lmspec.methods.crowd import Ratings
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.numerics import Machine
from lmspec.stage import Needs, Report
from stages import corpus

BANDS = [
    {"label": "neg", "at_least": None, "at_most": -0.5},
    {"label": "pos", "at_least": 0.5, "at_most": None},
]
ROWS = 20  # of a block


def simulated(
    blocks: int, each: int, random: float, seed: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(scores of texts, (texts, each) ratings from -4 to 4, (blocks, each) who is at random).

    Raters have a bias and a precision; a text is clearly of one side.
    """
    draws = np.random.default_rng(seed)
    score = draws.choice([-1, 1], blocks * ROWS) * draws.uniform(1, 3, blocks * ROWS)
    bias, spread = draws.normal(0, 0.5, (blocks, each)), draws.uniform(0.4, 1.2, (blocks, each))
    own = np.repeat(bias, ROWS, 0), np.repeat(spread, ROWS, 0)
    ratings = np.rint(score[:, None] + own[0] + own[1] * draws.normal(size=(blocks * ROWS, each)))
    at_random = draws.random((blocks, each)) < random
    noise = draws.integers(-4, 5, ratings.shape)
    ratings = np.where(np.repeat(at_random, ROWS, 0), noise, ratings).clip(-4, 4)
    return score, ratings, at_random


def as_ratings(table: np.ndarray[Any, Any], rows: int = ROWS) -> Ratings:
    """Of a table with a column for each position."""
    texts, each = table.shape
    row, position = np.divmod(np.arange(table.size), each)
    rater = row // rows * each + position
    return Ratings(row, rater, table.ravel().astype(float), texts, int(rater.max()) + 1)


def right(score: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    return float(np.mean(np.sign(score) == np.sign(truth)))


@pytest.mark.parametrize("seed", range(3))
def test_raters_at_random_are_found_and_cost_little(seed: int) -> None:
    """Of five ratings a text, three in ten raters at random: the mean loses, the model does not."""
    truth, table, at_random = simulated(60, 5, 0.3, seed)
    ratings = as_ratings(table)
    fitted = crowd.bias_precision(ratings)
    assert fitted.raters is not None
    assert right(fitted.score, truth) > 0.98
    assert right(crowd.mean(ratings).score, truth) < right(fitted.score, truth) - 0.03
    suspected = fitted.raters.suspected.reshape(at_random.shape)
    assert (suspected == at_random).mean() > 0.97


@pytest.mark.parametrize("each", [1, 2, 3, 5, 9])
def test_honest_raters_are_not_worse_modelled_than_averaged(each: int) -> None:
    """No one is at random: the model is right at least as often, but for chance."""
    truth, table, _ = simulated(60, each, 0.0, seed=1)
    ratings = as_ratings(table)
    fitted = crowd.bias_precision(ratings)
    assert fitted.raters is not None and fitted.raters.suspected.mean() < 0.01
    assert right(fitted.score, truth) >= right(crowd.mean(ratings).score, truth) - 0.002


def test_one_rating_a_text_is_its_score() -> None:
    """Exactly, so that a rating at the bound of a band stays in it."""
    _, table, _ = simulated(60, 1, 0.0, seed=1)
    assert (crowd.bias_precision(as_ratings(table)).score == table[:, 0]).all()


def test_biases_and_precisions_are_those_that_were_drawn() -> None:
    """A lenient rater has a positive bias, a careless one little precision."""
    draws = np.random.default_rng(5)
    score = draws.normal(0, 2, 400)
    bias, spread = np.array([1.0, 0.0, -1.0, 0.0]), np.array([0.3, 0.3, 0.6, 1.5])
    table = score[:, None] + bias + spread * draws.normal(size=(400, 4))
    raters = crowd.bias_precision(as_ratings(table, rows=400)).raters
    assert raters is not None
    assert raters.bias == pytest.approx(bias, abs=0.15)
    assert raters.precision**-0.5 == pytest.approx(spread, rel=0.35)


def test_a_rater_of_labels_is_right_as_often_as_estimated() -> None:
    """One-coin: accuracies come back, and weighing by them is better than a majority."""
    draws = np.random.default_rng(3)
    truth, accuracy = draws.integers(0, 3, 900), np.array([0.95, 0.9, 0.6, 0.6, 0.5])
    wrong = (truth[:, None] + draws.integers(1, 3, (900, 5))) % 3
    table = np.where(draws.random((900, 5)) < accuracy, truth[:, None], wrong)
    ratings = as_ratings(table, rows=900)
    fitted = crowd.one_coin(ratings, 3)
    assert fitted.raters is not None
    assert fitted.raters.precision == pytest.approx(accuracy, abs=0.05)
    simple = crowd.majority(ratings, 3).probability.argmax(1) == truth
    assert (fitted.probability.argmax(1) == truth).mean() > simple.mean() + 0.02
    assert np.allclose(fitted.probability.sum(1), 1)


def test_shuffled_positions_are_no_people() -> None:
    """The same ratings, each text's in another order, carry no signal; as they were, they do."""
    _, table, _ = simulated(60, 5, 0.0, seed=2)
    shuffled = np.random.default_rng(0).permuted(table, axis=1)
    assert crowd.signal(as_ratings(table), None)[1] > 10
    correlation, errors = crowd.signal(as_ratings(shuffled), None)
    assert abs(correlation) < 0.05 and abs(errors) < crowd.SIGNAL


def test_signal_is_found_by_chance_as_seldom_as_its_bound_says() -> None:
    """Of shuffled tables, one in hundreds is taken for people."""
    _, table, _ = simulated(10, 4, 0.0, seed=4)
    draws = np.random.default_rng(1)
    errors = [crowd.signal(as_ratings(draws.permuted(table, axis=1)), None)[1] for _ in range(200)]
    assert np.mean(np.array(errors) > crowd.SIGNAL) <= 0.02 and np.std(errors) < 1.3


def test_alpha_is_that_of_krippendorffs_example() -> None:
    """Krippendorff 2011, section C: nominal .743, interval .849, with missing values."""
    rows = [
        "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .",
    ]  # fmt: skip
    given = [
        (unit, rater, float(value))
        for rater, line in enumerate(rows)
        for unit, value in enumerate(line.split())
        if value != "."
    ]
    row, rater, value = (np.array(column) for column in zip(*given, strict=True))
    ratings = Ratings(row, rater, value, 12, 4)
    assert reliability.alpha(ratings, nominal=True) == pytest.approx(0.743, abs=0.001)
    assert reliability.alpha(ratings, nominal=False) == pytest.approx(0.849, abs=0.001)


def rule(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "ratings",
        "ratings": {"kind": "list", "column": "ratings"},
        "file": None,
        "rater": {"kind": "block", "rows": ROWS},
        "model": "bias_precision",
        "min_raters": 2,
        "bands": BANDS,
        "disagreement": {"more_than": 0.4, "then": "reject"},
    } | changes


def build(folder: Path, rows: Sequence[dict[str, Any]], label: dict[str, Any]) -> Report:
    """A corpus of the rows, in `out`."""
    for name in ("raw", "out"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "raw/a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    spec = {
        "tables": [
            {
                "name": "t",
                "of": "sources.raw",
                "file": "a.jsonl",
                "format": {"kind": "jsonl"},
                "missing": [""],
                "text": "text",
                "label": label,
                "group": None,
            }
        ],
        "labels": ["neg", "pos"],
        "clean": {"fix_unicode": True, "unescape_html": True, "min_chars": 1, "max_chars": 999},
        "contradictions": "majority",
        "near_duplicates": None,
        "without": [],
    }
    needs = Needs({"sources.raw": folder / "raw"}, None, Machine(device="cpu"), root=folder)
    return corpus.build(CorpusSpec.model_validate(spec), needs, folder / "out")


def rows_of(table: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    return [
        {"id": f"k{i}", "text": f"text {i}", "ratings": [int(value) for value in row]}
        for i, row in enumerate(table)
    ]


def test_a_corpus_has_labels_of_ratings(tmp_path: Path) -> None:
    """Labels, their probabilities, the raters in git, and the metrics."""
    truth, table, at_random = simulated(30, 5, 0.2, seed=7)
    report = build(tmp_path, rows_of(table), rule())
    frame = pl.read_parquet(tmp_path / "out/documents.parquet")
    number = [int(text.split()[1]) for text in frame["text"]]
    expected = np.where(truth[number] > 0, "pos", "neg")
    assert (frame["label"].to_numpy() == expected).mean() > 0.99
    probable = pl.read_parquet(tmp_path / "out/probabilities.parquet")
    assert probable["id"].to_list() == frame["id"].to_list()
    assert probable["probability"].min() > 0.5 and probable["disagreement"].max() <= 0.4  # type: ignore[operator]
    raters = report.tables["raters"]
    assert [row["suspected"] for row in raters] == at_random.ravel().tolist()
    assert raters[0]["rater"] == "1:1" and raters[-1]["rater"] == f"{29 * ROWS + 1}:5"
    metrics = report.metrics["ratings"]["t"]
    assert metrics["raters"] == 150 and metrics["suspected"] == at_random.sum()
    assert 0.3 < metrics["alpha"] < 0.9 and metrics["signal"] > 0.1
    assert metrics["disagreed"] == report.metrics["rejected"].get("raters disagree", 0)


def test_rows_in_another_file_find_their_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row for each rating, in another order; a text that too few rated has no label.

    Ratings of a text that the table lacks are counted; if it lacks all of them, that is refused.
    """
    (tmp_path / "raw").mkdir()
    given = {"k0": "ppp", "k1": "nnp", "k2": "p", "gone": "nn"}
    lines = [
        {"task": key, "worker": f"w{i}", "answer": {"p": "pos", "n": "neg"}[answer]}
        for key, answers in given.items()
        for i, answer in enumerate(answers)
    ]
    file = {"file": "b.jsonl", "format": {"kind": "jsonl"}, "key": "task", "row": "id"}
    (tmp_path / "raw/b.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines[::-1]))
    label = rule(
        ratings={"kind": "rows", "column": "answer"}, file=file, rater=None, model="majority",
        bands=None, disagreement={"more_than": 0.3, "then": "keep"},
    )  # fmt: skip
    report = build(tmp_path, rows_of(np.zeros((4, 2))), label)
    frame = pl.read_parquet(tmp_path / "out/documents.parquet")
    assert dict(zip(frame["text"], frame["label"], strict=True)) == {
        "text 0": "pos", "text 1": "neg"
    }  # fmt: skip
    assert report.metrics["rejected"] == {"too few ratings": 2}
    assert report.metrics["ratings"]["t"]["disagreed"] == 1
    assert "raters" not in report.tables
    named = label | {"rater": {"kind": "column", "column": "worker"}, "model": "one_coin"}
    raters = build(tmp_path, rows_of(np.zeros((4, 2))), named).tables["raters"]
    assert sorted(row["rater"] for row in raters) == ["w0", "w1", "w2"]
    assert "; 1 rated texts that are not in the table" in capsys.readouterr().err
    wrong = label | {"file": file | {"row": "text"}}
    found = r"no 'task' of it is a 'text' of a\.jsonl: it has 'gone', 'k2'"
    with pytest.raises(LmspecError, match=found):
        build(tmp_path, rows_of(np.zeros((4, 2))), wrong)


def test_raters_who_disagree_are_kept_apart(tmp_path: Path) -> None:
    """Rejected with their reason, or kept, and counted in both cases; a tie has no label."""
    table = np.array([[2, 2, -2], [2, 2, 2], [-2, -2, -2], [3, -3, 0]])
    for then, reasons in (("reject", {"raters disagree": 1}), ("keep", {})):
        label = rule(rater=None, model="mean", disagreement={"more_than": 0.3, "then": then})
        report = build(tmp_path, rows_of(table), label)
        assert report.metrics["rejected"] == reasons | {"score in no band": 1}
        assert report.metrics["ratings"]["t"]["disagreed"] == 1
    columns = [{"text": f"t{i}", "a": str(a), "b": str(b)} for i, (a, b, _) in enumerate(table)]
    label = rule(ratings={"kind": "columns", "columns": ["a", "b"]}, rater=None, model="majority")
    assert build(tmp_path, columns, label).metrics["rejected"] == {"ratings are tied": 1}


def _shorter(rows: list[dict[str, Any]]) -> None:
    rows[ROWS + 3]["ratings"].pop()


def _idle(rows: list[dict[str, Any]]) -> None:
    for row in rows[:ROWS]:
        row["ratings"][1] = None


def _no_number(rows: list[dict[str, Any]]) -> None:
    rows[4]["ratings"][2] = "good"


def _too_large(rows: list[dict[str, Any]]) -> None:
    rows[4]["ratings"][2] = -1e308  # its square is infinite, and would be in each mean


def _cut_off(rows: list[dict[str, Any]]) -> None:
    rows[5]["ratings"] = "[1, 2, "


def _shuffled(rows: list[dict[str, Any]]) -> None:
    draws = np.random.default_rng(1)
    for row in rows:
        draws.shuffle(row["ratings"])


@pytest.mark.parametrize(
    ("damage", "found", "remedy"),
    [
        (_shorter, f"row {ROWS + 4} has 3 ratings, and row {ROWS + 1}, where its block", "null"),
        (_idle, "raters without a rating: 1:2", "remove them"),
        (_no_number, "row 5 has 'good' among its ratings, which is no number", "missing"),
        (_too_large, "row 5 has '-1e+308' among its ratings, which is too large", "missing"),
        (_cut_off, "row 6 has no list of ratings in 'ratings': '[1, 2, '", "get it again"),
        (_shuffled, "standard errors from chance, and 3 are needed", "`model: mean`"),
    ],
)
def test_bad_ratings_are_refused(tmp_path: Path, damage: Any, found: str, remedy: str) -> None:
    """One message: where, what, what next. Undamaged, the table is built."""
    rows = rows_of(simulated(10, 4, 0.0, seed=3)[1])
    build(tmp_path, rows, rule())
    damage(rows)
    with pytest.raises(LmspecError) as caught:
        build(tmp_path, rows, rule())
    assert caught.value.place == "sources.raw a.jsonl"
    assert found in caught.value.found and remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"task": "k0", "worker": "ann", "answer": "pos"}, "'ann' rates 'k0' again, as in row 1"),
        ({"task": "k1", "worker": "", "answer": "pos"}, "row 3 has no rater in 'worker'"),
        ({"task": "", "worker": "bob", "answer": "pos"}, "row 3 has no key in 'task'"),
        ({"task": "k1", "worker": "bob", "answer": ""}, "raters without a rating: bob"),
        ({"task": "k1", "worker": "ann", "answer": "good"}, "none of the labels"),
    ],
)
def test_bad_rows_of_ratings_are_refused(tmp_path: Path, line: dict[str, str], found: str) -> None:
    """Each with its row."""
    (tmp_path / "raw").mkdir()
    good = [{"task": "k0", "worker": name, "answer": "pos"} for name in ("ann", "eve")]
    content = "".join(f"{json.dumps(one)}\n" for one in [*good, line])
    (tmp_path / "raw/b.jsonl").write_text(content)
    label = rule(
        ratings={"kind": "rows", "column": "answer"},
        file={"file": "b.jsonl", "format": {"kind": "jsonl"}, "key": "task", "row": "id"},
        rater={"kind": "column", "column": "worker"}, model="one_coin", bands=None,
    )  # fmt: skip
    with pytest.raises(LmspecError, match=r"sources\.raw b\.jsonl") as caught:
        build(tmp_path, rows_of(np.zeros((2, 2))), label)
    assert found in caught.value.found
