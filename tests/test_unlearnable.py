"""What a model cannot learn, or cannot read, is named before the first step."""

import copy
from pathlib import Path

import polars as pl
import pytest

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.specs.model import ModelSpec
from lmspec.specs.training import Untrained
from stages import model
from stages.sweep import MODEL
from tests.test_linear import LINE, stages
from tests.test_sweep import SECTION


def edited(needs: stage.Needs, split: str, **columns: pl.Expr | pl.Series) -> None:
    path = needs["splits.old"] / f"{split}.parquet"
    documents.write(documents.read(path).with_columns(**columns), path)


def before_training(needs: stage.Needs, capsys: pytest.CaptureFixture[str]) -> str:
    """What the stage says before it trains."""
    spec = MODEL.validate_python(SECTION)
    created = model.created(spec, needs)
    recipe = spec.training
    assert not isinstance(recipe, Untrained)
    model.describe(created, *model.read(spec, needs, created), recipe)
    return capsys.readouterr().err


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_label_without_a_text_is_named(
    split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rare label of the corpus that the cut left out; the rest is learned all the same."""
    needs = stages(tmp_path)
    assert "warning" not in before_training(needs, capsys)
    documents.write_labels(["bad", "good", "mixed", "odd"], needs["splits.old"])
    other = "dev" if split == "train" else "train"
    own = documents.read_split(needs["splits.old"], other)["label"].to_list()
    edited(needs, other, label=pl.Series(["mixed", "odd", *own[2:]]))
    lines = [line for line in before_training(needs, capsys).splitlines() if "warning" in line]
    assert lines == [f"  warning: {split} has no text with the label mixed, odd"]


@pytest.mark.parametrize("section", [SECTION, LINE["model"]])
def test_texts_of_one_label_teach_nothing(section: object, tmp_path: Path) -> None:
    """Whatever the kind of model: it fails, with the label, before it is trained."""
    needs = stages(tmp_path)
    edited(needs, "train", label=pl.lit("good"))
    spec: ModelSpec = MODEL.validate_python(copy.deepcopy(section))
    with pytest.raises(LmspecError, match="all of its 100 training texts are 'good'") as caught:
        model.build(spec, needs, tmp_path)
    assert caught.value.place == "splits.old"


def test_the_text_of_which_least_is_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id, with its tokens and those of them that are not read."""
    needs = stages(tmp_path)
    long = "the film was wonderful " * 50
    edited(needs, "dev", text=pl.when(pl.col("id") == "dev7").then(pl.lit(long)).otherwise("text"))
    (line,) = [line for line in before_training(needs, capsys).splitlines() if "dev:" in line]
    assert "(truncate)" in line and "most of dev7: 593 of 601" in line
