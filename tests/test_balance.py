"""Balanced trainings: a group's rare label is learned as well, and nothing else changes."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import balancing, reading, torchrun
from lmspec.specs.balance import Balance
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine, Numerics
from stages import model
from stages.sweep import MODEL
from tests.test_linear import LINE
from tests.test_sweep import SECTION

LABELS = ("bad", "good")
SPURIOUS = ("she", "he")  # in 47 of 50 training texts the word of the label
TELLING = ("dull", "fine")  # in 17 of 20 texts the word of the label
BY_TERMS = {"by": {"kind": "terms", "terms": [["she"], ["he"]]}, "power": 1.0}
BY_COLUMN = {"by": {"kind": "column", "column": "who"}, "power": 1.0}


def rows(size: int, aligned: float, seed: int) -> pl.DataFrame:
    """Texts of one word that tells the label and one that only goes along with it."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, size)
    who = np.where(draw.random(size) < aligned, truth, 1 - truth)
    word = np.where(draw.random(size) < 0.85, truth, 1 - truth)
    fillers = draw.integers(0, 30, (size, 2))
    texts = [
        f"{SPURIOUS[w]} found it{a} {TELLING[t]} at{b}"
        for w, t, (a, b) in zip(who, word, fillers, strict=True)
    ]
    columns: dict[str, Any] = {
        "id": [f"{seed}-{i}" for i in range(size)],
        "text": texts,
        "label": [LABELS[i] for i in truth],
        "group": None,
        "table": "old",
    }
    frame = pl.DataFrame(columns, documents.DOCUMENT)
    return frame.with_columns(who=pl.Series([SPURIOUS[w] for w in who]))


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> stage.Needs:
    """A skewed train split; dev and test texts in which the word of no person tells anything."""
    folder = tmp_path_factory.mktemp("skewed") / "splits"
    folder.mkdir()
    for number, (name, size, aligned) in enumerate(
        [("train", 1200, 0.94), ("dev", 200, 0.5), ("test", 1000, 0.5)]
    ):
        frame = rows(size, aligned, number)
        documents.write(frame, folder / f"{name}.parquet")
        documents.write_ids(frame["id"].to_list(), folder, name)
    documents.write_labels(LABELS, folder)
    documents.write_clean({"fix_unicode": True, "unescape_html": True}, folder)
    bits = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
    return stage.Needs({"splits.old": folder}, bits, Machine(device="cpu"))


def spec(kind: str, balance: Any) -> ModelSpec:
    """A small model of that kind. balance: None as if the field were not there"""
    section: dict[str, Any] = LINE["model"] if kind == "linear" else SECTION
    changes = {"balance": balance} if balance else {}
    if kind == "linear":
        shape = section["architecture"] | {"families": ["words"], "word_ngrams": [1, 1]}
        section = section | {"architecture": shape | {"char_ngrams": None}}
    else:
        changes |= {"epochs": 6}
    return MODEL.validate_python(section | {"training": section["training"] | changes})


def gap(kind: str, balance: Any, needs: stage.Needs, out: Path) -> tuple[float, float]:
    """(accuracy, gap of accuracies between texts in which the word goes along and others)."""
    out.mkdir()
    model.build(spec(kind, balance), needs, out)
    read = checkpoint.read(out)
    test = examples.read(needs["splits.old"], "test", read.reader, read.labels, ["who"])
    found = reading.predicted(torchrun.forward(read.model), test.windows, read.pad_id, 64)
    right = found.argmax(1) == test.truth
    who = np.array([SPURIOUS.index(name) for name in test.documents["who"]])
    along = who == test.truth
    return float(right.mean()), float(right[along].mean() - right[~along].mean())


@pytest.mark.parametrize("kind", ["linear", "cnn"])
def test_the_gap_of_a_skewed_table_falls(kind: str, needs: stage.Needs, tmp_path: Path) -> None:
    """By gradient descent and by logistic regression; all texts are answered better, too. The
    control: half of the power closes less of it."""
    before, plain = gap(kind, None, needs, tmp_path / "plain")
    after, balanced = gap(kind, BY_TERMS, needs, tmp_path / "balanced")
    assert plain > 0.5 and balanced < 0.25 and after > before + 0.1
    _, half = gap(kind, BY_TERMS | {"power": 0.4}, needs, tmp_path / "half")
    assert balanced < half <= plain


@pytest.mark.parametrize("kind", ["linear", "cnn"])
def test_groups_of_a_column_are_those_of_its_words(
    kind: str, needs: stage.Needs, tmp_path: Path
) -> None:
    """Here each text has one of both words, and a column that says which: the same bytes, twice.
    The control: without a balance, others."""
    sums = []
    for name, balance in (("words", BY_TERMS), ("column", BY_COLUMN), ("none", None)):
        out = tmp_path / name
        out.mkdir()
        model.build(spec(kind, balance), needs, out)
        sums.append(hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest())
    assert sums[0] == sums[1] != sums[2]


def test_each_pair_of_group_and_label_counts_the_same() -> None:
    """On average 1; with less power frequent pairs count more, as they do without any."""
    truth, groups = np.array([0, 0, 0, 0, 1, 1, 1, 0]), ["a"] * 5 + ["b"] * 3
    pair = balancing.pairs(truth, groups)
    assert pair.tolist() == [0, 0, 0, 0, 1, 2, 2, 3]
    whole = balancing.weights(pair, 1.0)
    sums = np.bincount(pair, weights=whole)
    assert sums == pytest.approx([2.0] * 4) and whole.mean() == pytest.approx(1)
    half = balancing.weights(pair, 0.5)
    assert half.mean() == pytest.approx(1) and np.bincount(pair, weights=half)[0] > 2.0
    assert (half[0] / half[4]) ** 2 == pytest.approx(whole[0] / whole[4])


def test_texts_of_several_lists_are_a_group_of_their_own() -> None:
    """As are those of none; and rows without a value of a column."""
    frame = pl.DataFrame(
        {"text": ["He and she", "he", "She", "they"], "who": ["a", None, "a", None]}
    )
    by = Balance.model_validate(BY_TERMS)
    assert balancing.groups(by, frame) == [(True, True), (False, True), (True, False), (False,) * 2]
    assert balancing.groups(Balance.model_validate(BY_COLUMN), frame) == ["a", None, "a", None]


def test_a_column_that_is_not_kept_is_named(needs: stage.Needs, tmp_path: Path) -> None:
    """Before anything is trained, with those that are."""
    by = {"kind": "column", "column": "age"}
    with pytest.raises(LmspecError, match="no column 'age'; its corpus keeps who"):
        model.build(spec("cnn", {"by": by, "power": 1.0}), needs, tmp_path)
