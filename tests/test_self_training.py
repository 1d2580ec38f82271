"""Rows of a pool that a model is sure of are learned, too, and none that is held out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents
from lmspec.methods import sureness
from lmspec.methods.resume import Resume
from lmspec.run import seen
from lmspec.specs.base import references
from lmspec.specs.checks import model as checks
from lmspec.specs.model import ModelSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.training import checkpoints
from stages import model as stage_of_models
from stages import scores
from tests.test_contrastive import (
    HEAD,
    SHAPE,
    TRAINING,
    cut,
    files,
    needs,
    weights,
    without_dev,
)
from tests.test_linear import LABELS, LINE, TEXTS, TRUTH

__all__ = ["needs", "weights"]  # fixtures
RULE = {"pool": "corpus.pool", "confidence": 0.6, "per_label": 20, "rounds": 2}
LINEAR = LINE["model"]["architecture"] | {"families": ["words"]}
ONE = HEAD | {"inverse_regularization": [10.0]}
REGRESSION = ONE | {"kind": "logistic_regression"}
FITTED = {
    "linear": (LINEAR, REGRESSION),
    "embedding": (SHAPE, REGRESSION),
    "contrastive": (SHAPE, TRAINING | {"steps": 6, "head": ONE}),
}


def spec(kind: str, **rule: Any) -> ModelSpec:
    architecture, training = FITTED[kind]
    values = {"on": "splits.old", "architecture": architecture, "training": training}
    return ModelSpec.model_validate(values | {"self_training": RULE | rule})


def pool(
    needs: stage.Needs, rows: list[int], labelled: bool = True, ids: list[str] | None = None
) -> stage.Needs:
    """A corpus of some of the texts; ids: their common ones."""
    folder = needs["splits.old"].parent / "pool"
    folder.mkdir(exist_ok=True)
    names = ids or [f"pool{i}" for i in rows]
    labels = [LABELS[TRUTH[i]] if labelled else None for i in rows]
    values = {"id": names, "text": [TEXTS[i] for i in rows], "label": labels}
    frame = pl.DataFrame(values | {"group": None, "table": "t"}, documents.DOCUMENT)
    documents.write(frame, folder / "documents.parquet")
    documents.write_ids(names, folder, "documents")
    documents.write_labels(LABELS if labelled else [], folder)
    documents.write_corpus("corpus.old", needs["splits.old"])
    return dataclasses.replace(needs, folders={**needs.folders, "corpus.pool": folder})


def built(kind: str, needs: stage.Needs, out: Path, **rule: Any) -> stage.Report:
    out.mkdir()
    return stage_of_models.build(spec(kind, **rule), needs, out)


@pytest.mark.parametrize("kind", FITTED)
def test_sure_rows_are_learned(kind: str, needs: stage.Needs, tmp_path: Path) -> None:
    """A table of rounds, metrics of the last one, and another model than without them."""
    given = pool(needs, [*range(40, 100)])
    report = built(kind, given, tmp_path / "a", confidence=0.5)
    table = report.tables["self_training"]
    assert [row["round"] for row in table][:2] == [1, 1] and {r["label"] for r in table} == {
        *LABELS
    }
    last = [row for row in table if row["round"] == table[-1]["round"]]
    found = report.metrics["self_training"]
    assert found["rows"] == sum(row["rows"] for row in last) > 10
    assert all(row["rows"] <= RULE["per_label"] for row in table)
    assert found["pool"] == 60 and found["known"] == 0
    assert 0.5 <= found["mean_confidence"] <= 1 and 0.5 < found["agreement"] <= 1
    alone = stage_of_models.ModelSpec.model_validate(
        spec(kind).model_dump(exclude={"self_training"})
    )
    (tmp_path / "b").mkdir()
    stage_of_models.build(alone, given, tmp_path / "b")
    assert files(tmp_path / "a")["model.safetensors"] != files(tmp_path / "b")["model.safetensors"]
    assert checkpoint.read(tmp_path / "a").labels == LABELS


def test_labels_of_the_pool_are_only_compared(needs: stage.Needs, tmp_path: Path) -> None:
    """With all of them wrong, and without any: the same bytes, other agreement."""
    right = built("linear", pool(needs, [*range(40, 100)]), tmp_path / "a")
    folder = pool(needs, [*range(40, 100)])["corpus.pool"]
    frame = documents.read(folder / "documents.parquet")
    other = pl.col("label").replace({"bad": "good", "good": "bad"})
    documents.write(frame.with_columns(other), folder / "documents.parquet")
    wrong_needs = dataclasses.replace(needs, folders={**needs.folders, "corpus.pool": folder})
    wrong = built("linear", wrong_needs, tmp_path / "b")
    none = built("linear", pool(needs, [*range(40, 100)], labelled=False), tmp_path / "c")
    assert files(tmp_path / "a") == files(tmp_path / "b") == files(tmp_path / "c")
    agreed = right.metrics["self_training"]["agreement"]
    assert wrong.metrics["self_training"]["agreement"] == pytest.approx(1 - agreed)
    assert "agreement" not in none.metrics["self_training"]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_pool_with_a_held_out_row_is_refused(
    split: str, needs: stage.Needs, tmp_path: Path
) -> None:
    """Before anything is fitted, with the text and the remedy."""
    name = documents.read_ids(needs["splits.old"], split)[3]
    given = pool(needs, [50, 51, 52], ids=["pool50", name, "pool52"])
    expected = rf"1 of its rows are {split} texts of splits.old: .*(\n|.)*corpus.old to `without`"
    with pytest.raises(LmspecError, match=expected):
        built("linear", given, tmp_path / "model")
    assert not any((tmp_path / "model").iterdir())


def test_what_it_has_seen_is_the_pool_too(needs: stage.Needs, tmp_path: Path) -> None:
    """So scores refuse a test text that is in it, of whatever splits."""
    refs = [ref for _, ref in references(spec("linear"))]
    found = seen.of(refs, {})
    assert found == {"corpus.pool": ("documents",), "splits.old": ("dev", "train")}
    given = pool(needs, [*range(40, 100)])
    built("linear", given, tmp_path / "model")
    name = documents.read_ids(given["corpus.pool"], "documents")[0]
    ids = documents.read_ids(given["splits.old"], "test")
    documents.write_ids([name, *ids[1:]], given["splits.old"], "test")
    values = LINE["scores"] | {"of": "model.x"}
    with_seen = dataclasses.replace(given, seen=found)
    with pytest.raises(LmspecError, match=r"1 of the 30 test texts of splits.old are in the doc"):
        scores.build(ScoresSpec.model_validate(values), with_seen, tmp_path)


def test_rows_with_a_label_are_not_asked_again(needs: stage.Needs, tmp_path: Path) -> None:
    """Those of the train split are counted and left out; with no other row it is refused."""
    train = documents.read_ids(needs["splits.old"], "train")
    given = pool(needs, [40, 41, 42, 43], ids=[train[0], "a", "b", train[1]])
    found = built("linear", given, tmp_path / "a", confidence=0.01).metrics["self_training"]
    assert (found["pool"], found["known"], found["rows"]) == (2, 2, 2)
    with pytest.raises(LmspecError, match=r"none of its 2 rows is without a label in splits.old"):
        built("linear", pool(needs, [40, 41], ids=train[:2]), tmp_path / "b")


def test_where_it_is_sure_of_nothing_it_says_so(
    needs: stage.Needs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No row is taken: the model is that of the train split, and the labels are named."""
    report = built("linear", pool(needs, [*range(40, 60)]), tmp_path / "a", confidence=0.999999)
    assert report.metrics["self_training"] == {"pool": 20, "known": 0, "rows": 0}
    assert "no row of the pool gets the label 'bad', 'good'" in capsys.readouterr().err
    without = ModelSpec.model_validate(spec("linear").model_dump(exclude={"self_training"}))
    (tmp_path / "b").mkdir()
    stage_of_models.build(without, needs, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_surest_rows_of_each_label_are_taken() -> None:
    """At most so many, those that reach the confidence; of equal ones the first."""
    shares = np.asarray([[0.9, 0.1], [0.6, 0.4], [0.9, 0.1], [0.95, 0.05], [0.2, 0.8], [0.4, 0.6]])
    found = sureness.taken(shares, 0.61, 2)
    assert found.rows.tolist() == [0, 3, 4] and found.labels.tolist() == [0, 0, 1]
    assert found.confidence.tolist() == [0.9, 0.95, 0.8]
    assert sureness.taken(shares, 0.61, 1).rows.tolist() == [3, 4]
    assert sureness.taken(shares, 0.99, 9).rows.tolist() == []
    truth = np.asarray([0, 0, 0, 1, -1, 0])
    assert sureness.agreement(found, truth) == 0.5  # the row without a label of ours is not counted
    rows = {row["label"]: row for row in sureness.by_label(found, truth, ("a", "b"))}
    assert rows["a"]["agreement"] == 0.5 and rows["b"]["agreement"] is None


def test_rounds_that_were_killed_go_on_to_the_same_bytes(
    needs: stage.Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that holds checkpoints of all its rounds, and is killed in the end."""
    without_dev(needs)
    given = pool(needs, [*range(40, 80)])
    built("contrastive", given, tmp_path / "whole", confidence=0.5)
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    resumed = dataclasses.replace(given, resume=Resume(tmp_path / "resume", lambda: True))
    write = checkpoint.write

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        built("contrastive", resumed, tmp_path / "killed", confidence=0.5)
    monkeypatch.setattr(checkpoint, "write", write)
    built("contrastive", resumed, tmp_path / "again", confidence=0.5)
    assert files(tmp_path / "whole") == files(tmp_path / "again")
    places = sorted(path.name for path in (tmp_path / "resume").iterdir())
    assert len(places) >= 2 and json.loads(
        (tmp_path / "resume" / places[0] / "checkpoint.json").read_text()
    )


def test_a_network_takes_no_pool() -> None:
    """Nor a model that writes: what is fitted by anything but a head."""
    for kind in ("gradient_descent", "none"):
        values = {"training": {"kind": kind}, "self_training": RULE}
        (found,) = checks.a_head_learns_from_the_pool(values)
        assert found.steps == ("self_training",) and kind in found.found
    values = spec("linear").model_dump()
    assert not [*checks.a_head_learns_from_the_pool(values)]


def test_few_rows_stay_few(needs: stage.Needs, tmp_path: Path) -> None:
    """One label that no training row has gets no row of the pool."""
    cut(needs["splits.old"], "train", each=4)
    documents.write_labels([*LABELS, "odd"], needs["splits.old"])
    report = built("linear", pool(needs, [*range(40, 90)]), tmp_path / "a", confidence=0.3)
    odd = [row for row in report.tables["self_training"] if row["label"] == "odd"]
    assert odd and all(row["rows"] == 0 and row["agreement"] is None for row in odd)
