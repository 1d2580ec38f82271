"""A corpus of texts without labels: for pre-training, and refused by all that needs labels."""

import dataclasses
from pathlib import Path

import polars as pl
import pytest
from tokenizers import Tokenizer, models

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, examples
from lmspec.methods import reading
from lmspec.specs.splits import SplitsSpec
from stages import model, pretrained, splits
from stages.sweep import MODEL
from tests import miniature
from tests.history import make
from tests.test_contradictions import build
from tests.test_corpora import ROWS, fill
from tests.test_linear import stages
from tests.test_pretraining import spec_of
from tests.test_sweep import SECTION

TEXTS = [text for _, text, _ in miniature.sentences("")]
NONE = {"label": None, "labels": []}


@pytest.fixture
def needs(tmp_path: Path) -> stage.Needs:
    """A split corpus without labels, as its stages build it."""
    rows = [(text, f"column {i} that is not read") for i, text in enumerate([*TEXTS, TEXTS[0], ""])]
    report, rejected = build(tmp_path, rows, **NONE)
    assert report.metrics["documents"] == len(set(TEXTS))
    assert report.metrics["table"]["t"]["label"] == {}
    assert report.metrics["contradictions"]["texts"] == 0
    assert sorted(rejected["reason"]) == ["exact duplicate", "no text"]
    assert set(rejected["other_label"]) == {None}
    for name in ("rest", "cut"):
        (tmp_path / name).mkdir()
    made, out = stages(tmp_path / "rest"), tmp_path / "cut"
    fields = {"of": "corpus.c", "train": 0.6, "dev": 0.2, "test": 0.2, "seed": 1}
    spec = SplitsSpec.model_validate(fields | {"keep_together": None})
    cut = splits.build(spec, dataclasses.replace(made, folders={"corpus.c": tmp_path / "out"}), out)
    assert cut.metrics["train"] == {"documents": 96, "label": {}, "empty_labels": 0}
    return dataclasses.replace(made, folders={"splits.old": out, "splits.new": out})


def test_no_label_is_made_up(needs: stage.Needs) -> None:
    """The labels of the corpus are none, and that of each text is null; texts stay as they are."""
    folder = needs["splits.new"]
    frames = [documents.read_split(folder, split) for split in ("train", "dev", "test")]
    assert documents.read_labels(folder) == []
    assert set(pl.concat(frames)["label"]) == {None}
    assert sorted(pl.concat(frames)["text"]) == sorted(set(TEXTS))


def test_pre_training_reads_them_and_nothing_else_does(needs: stage.Needs) -> None:
    """Also of a stage that is run by hand."""

    reader = reading.Reader(Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")), None)
    windows, ids = pretrained.read(spec_of(), needs, "train", reader)
    assert len(windows.ids) == len(ids) == 96
    with pytest.raises(LmspecError, match="its texts have no labels"):
        model.created(MODEL.validate_python(SECTION), needs)
    with pytest.raises(LmspecError, match="its texts have no labels"):
        examples.read(needs["splits.old"], "test", None, ("bad", "good"))  # type: ignore[arg-type]


def test_the_texts_are_described(tmp_path: Path) -> None:
    """`lmspec data` says that there are no labels, and shows the first texts."""
    project = make(tmp_path)
    fill(project)
    folder = project.root / "data/corpus/reviews"
    frame = documents.read(folder / "documents.parquet")
    nothing = frame.with_columns(label=pl.lit(None, pl.String))
    documents.write(nothing, folder / "documents.parquet")
    documents.write_labels([], folder)
    text = project.run("data", "--output", str(tmp_path / "page.html")).stdout
    assert f"{len(ROWS)} documents" in text and "labels: none" in text
    page = (tmp_path / "page.html").read_text()
    assert "None: the texts are for pre-training" in page and "word number 0" in page
