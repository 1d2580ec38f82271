"""Suspects: planted label errors come first, and each row is judged by others alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import documents, worklist
from lmspec.methods import confident, folds
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.suspects import SuspectsSpec
from lmspec.stage import Needs, Report
from stages import suspects
from tests import miniature

LABELS = ["bad", "good"]
NUMERICS = Numerics.model_validate(
    {"seed": 1, "threads": 1, "precision": "fp32", "instructions": "avx2"}
)
NGRAMS = {"kind": "linear", "word_ngrams": [1, 1], "char_ngrams": None, "min_documents": 1}
NGRAMS |= {"max_features": 1000, "inverse_regularization": 10.0}
TEXTS = [
    f"{a} {b} {c} number {i}"
    for i, (a, b, c) in enumerate(
        (word, thing, end)
        for word in ("awful", "dull", "poor", "great", "fine", "lovely")
        for thing in ("film", "book", "meal", "song", "day")
        for end in ("here", "there", "again")
    )
]
TRUTH = [LABELS[i >= len(TEXTS) // 2] for i in range(len(TEXTS))]
WRONG = {3, 20, 50, 77}


def other(label: str) -> str:
    return LABELS[1 - LABELS.index(label)]


def write(
    folder: Path, part: str, labels: list[str], groups: list[str | None] | None = None
) -> None:
    """Documents, as a corpus or splits have them."""
    folder.mkdir(exist_ok=True)
    rows = {
        "id": [f"{i:016x}" for i in range(len(TEXTS))],
        "text": TEXTS,
        "label": labels,
        "group": groups or [None] * len(TEXTS),
        "table": ["t"] * len(TEXTS),
    }
    documents.write(pl.DataFrame(rows, schema=documents.DOCUMENT), folder / f"{part}.parquet")
    documents.write_labels(LABELS, folder)


def judged(folder: Path, **changes: Any) -> Report:
    """The stage's build of a corpus in `in`."""
    spec = {"of": "corpus.t", "parts": None, "features": NGRAMS, "folds": 5, "seed": 1, "rows": 20}
    needs = Needs({"corpus.t": folder / "in"}, NUMERICS, Machine(device="cpu"))
    (folder / "out").mkdir(exist_ok=True)
    return suspects.build(SuspectsSpec.model_validate(spec | changes), needs, folder / "out")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A corpus, four of whose labels are wrong."""
    labels = [other(label) if i in WRONG else label for i, label in enumerate(TRUTH)]
    write(tmp_path / "in", "documents", labels)
    return tmp_path


def test_planted_errors_come_first(planted: Path) -> None:
    """With the label that is right, and the estimate of their number is near."""
    report = judged(planted)
    first = report.tables["rows"][: len(WRONG)]
    assert {int(row["id"], 16) for row in first} == WRONG
    for row in first:
        assert row["suggested"] == other(row["label"]) and row["confident"]
        assert row["p_suggested"] > 0.5 > row["p_label"]
    assert report.metrics["confident"] >= len(WRONG)
    assert 0.02 < report.metrics["error_rate"] < 0.12
    assert set(report.metrics["label"]) == {*LABELS}


def test_the_list_is_what_label_reads(planted: Path) -> None:
    """The texts are in the output; git has ids alone."""
    report = judged(planted)
    rows = worklist.read(planted / "out")
    assert [row.id for row in rows] == [row["id"] for row in report.tables["rows"]]
    assert rows[0].text in TEXTS and rows[0].label == other(rows[0].suggested or "bad")
    assert documents.read_labels(planted / "out") == LABELS
    assert "text" not in report.tables["rows"][0]


def test_a_row_is_judged_by_others_alone(tmp_path: Path) -> None:
    """Probabilities of a row do not depend on its own label, nor on those of its group."""
    draw = np.random.default_rng(1)
    features, truth = draw.normal(size=(60, 5)), draw.integers(0, 2, 60)
    units = [[i, i + 1] for i in range(0, 60, 2)]
    fold = folds.assigned(units, truth, 5, 1)
    assert all(fold[a] == fold[b] for a, b in units)
    before = folds.out_of_fold(features, truth, fold, 2, 1.0)
    turned = truth.copy()
    turned[:2] = 1 - turned[:2]
    after = folds.out_of_fold(features, turned, fold, 2, 1.0)
    assert (before[:2] == after[:2]).all()
    assert not (before == after).all()
    assert not np.array_equal(before[:2], folds.fitted(features, turned, 1.0, 2)(features[:2]))


def test_folds_have_labels_in_proportion() -> None:
    """Each fold has as many rows of a label as another, but for one."""
    truth = np.repeat(np.arange(4), [50, 30, 12, 5])
    fold = folds.assigned([[i] for i in range(len(truth))], truth, 5, 3)
    for label in range(4):
        counts = np.bincount(fold[truth == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert (fold == folds.assigned([[i] for i in range(97)], truth, 5, 3)).all()
    assert (fold != folds.assigned([[i] for i in range(97)], truth, 5, 4)).any()


def test_confident_learning_as_in_the_paper() -> None:
    """Thresholds, confident labels and the joint of a small case, by hand."""
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6]])
    truth = np.array([0, 0, 0, 1, 1])
    assert np.allclose(confident.thresholds(probabilities, truth), [0.6, 0.75])
    assert confident.confident(probabilities, truth).tolist() == [0, 0, 1, 1, -1]
    assert np.allclose(confident.joint(probabilities, truth), [[0.4, 0.2], [0, 0.4]])
    assert np.allclose(confident.confidence(probabilities, truth), [0.9, 0.7, 0.2, 0.9, 0.6])
    assert confident.suggested(probabilities, truth).tolist() == [1, 1, 1, 0, 0]


def test_the_joint_is_that_of_cleanlab() -> None:
    """Of drawn probabilities of 4 labels: the same confident rows. Theirs is rounded to rows."""
    count = pytest.importorskip("cleanlab.count")
    draw = np.random.default_rng(2)
    truth = draw.integers(0, 4, 400)
    logits = draw.normal(size=(400, 4)) + 1.5 * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = confident.confident(probabilities, truth)
    counts = np.zeros((4, 4))
    np.add.at(counts, (truth[found >= 0], found[found >= 0]), 1)
    assert (counts == count.compute_confident_joint(truth, probabilities, calibrate=False)).all()
    theirs = count.estimate_joint(truth, probabilities)
    assert np.allclose(confident.joint(probabilities, truth), theirs, atol=0.5 / 400)


def test_a_label_of_one_row_is_not_judged(tmp_path: Path) -> None:
    """No other row could teach it; it is counted."""
    write(tmp_path / "in", "documents", ["bad", *["good"] * 45, *["bad"] * 44])
    documents.write_labels([*LABELS, "odd"], tmp_path / "in")
    frame = documents.read(tmp_path / "in/documents.parquet")
    labels = ["odd", *frame["label"].to_list()[1:]]
    documents.write(frame.with_columns(label=pl.Series(labels)), tmp_path / "in/documents.parquet")
    report = judged(tmp_path)
    assert report.metrics["too_few"] == 1 and report.metrics["judged"] == len(TEXTS) - 1
    assert "odd" not in report.metrics["label"]


def test_one_label_alone_is_refused(tmp_path: Path) -> None:
    """There is nothing to tell apart; as with more folds than groups."""
    write(tmp_path / "in", "documents", ["bad"] * len(TEXTS))
    with pytest.raises(LmspecError, match="1 of the labels"):
        judged(tmp_path)
    write(tmp_path / "in", "documents", TRUTH, [str(i % 3) for i in range(len(TEXTS))])
    with pytest.raises(LmspecError, match="3 groups of rows, too few for 5 folds"):
        judged(tmp_path)


def test_splits_are_judged_by_their_parts(tmp_path: Path) -> None:
    """The table says in which split a row is."""
    write(tmp_path / "in", "train", TRUTH)
    write(tmp_path / "in", "dev", TRUTH)
    spec = {"of": "splits.t", "parts": ["train", "dev"]}
    needs = {"splits.t": tmp_path / "in"}
    values = {"features": NGRAMS, "folds": 2, "seed": 1, "rows": 200}
    (tmp_path / "out").mkdir()
    report = suspects.build(
        SuspectsSpec.model_validate(spec | values),
        Needs(needs, NUMERICS, Machine(device="cpu")),
        tmp_path / "out",
    )
    assert {row["split"] for row in report.tables["rows"]} == {"train", "dev"}


def test_embeddings_of_an_encoder_are_judged_too(planted: Path) -> None:
    """Features of a frozen encoder; the same build gives the same bytes."""
    miniature.write_weights(planted / "weights")
    features = {"kind": "embedding", "weights": "sources.bert", "max_length": 24}
    features |= {"inverse_regularization": 10.0}
    values = {"of": "corpus.t", "parts": None, "features": features, "folds": 3, "seed": 1}
    spec = SuspectsSpec.model_validate(values | {"rows": 5})
    folders = {"corpus.t": planted / "in", "sources.bert": planted / "weights"}
    written = []
    for name in ("a", "b"):
        (planted / name).mkdir()
        needs = Needs(folders, NUMERICS, Machine(device="cpu"))
        report = suspects.build(spec, needs, planted / name)
        written.append((json.dumps(report.tables), (planted / name / worklist.ROWS).read_bytes()))
    assert written[0] == written[1]
    assert spec.modules() == ("lmspec.architectures.embedding",)
