"""What a bundle tells of its scores: exact intervals, and mistakes that no dataset crowds out."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lmspec import stage
from lmspec.methods import evidence
from lmspec.methods.evidence import Row
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.numerics import Machine
from stages import bundle
from tests.test_card import SPEC


def rows(dataset: str, right: int, wrong: int, **changes: Any) -> list[Row]:
    """Texts that are all of one label, and of which some get another."""
    made = Row(dataset, "t", None, "text", "good", "good", 0.9)._replace(**changes)
    return [made._replace(text=f"{dataset} {i}") for i in range(right)] + [
        made._replace(text=f"{dataset} wrong {i}", predicted="bad", confidence=0.5 + i / 1000)
        for i in range(wrong)
    ]


def test_an_accuracy_has_its_exact_interval() -> None:
    """As scipy computes it; texts of one group count as less than as many independent ones."""
    stats = pytest.importorskip("scipy.stats")
    (alone,) = evidence.accuracies(rows("a", 80, 20))
    interval = stats.binomtest(80, 100).proportion_ci(0.95)
    assert alone["accuracy"] == 0.8 and alone["examples"] == 100
    assert (alone["low"], alone["high"]) == pytest.approx(tuple(interval), abs=2e-6)
    grouped = [row._replace(group=f"g{i // 10}") for i, row in enumerate(rows("a", 80, 20))]
    (wider,) = evidence.accuracies(grouped)
    assert wider["low"] < alone["low"] and wider["high"] > alone["high"]


def test_tables_have_rows_of_their_own_where_there_are_several() -> None:
    """A dataset of one table has one row."""
    some = [*rows("a", 3, 1, table="x"), *rows("a", 2, 2, table="y"), *rows("b", 5, 0)]
    found = [
        (each["texts"], each["examples"], each["accuracy"]) for each in evidence.accuracies(some)
    ]
    assert found == [("a", 8, 0.625), ("a, x", 4, 0.75), ("a, y", 4, 0.5), ("b", 5, 1.0)]


def test_datasets_take_turns_with_their_surest_mistakes() -> None:
    """No right answer is among them, and a long text is cut."""
    some = [*rows("large", 5, 30), *rows("small", 5, 2), *rows("none", 5, 0)]
    found = evidence.mistakes(some, 6)
    assert [one["dataset"] for one in found] == ["large", "small"] * 2 + ["large"] * 2
    assert [one["text"] for one in found[:3]] == [
        "large wrong 29",
        "small wrong 1",
        "large wrong 28",
    ]
    assert all(one["label"] != one["predicted"] for one in found)
    assert len(evidence.mistakes(some, 100)) == 32 and evidence.mistakes(some, 0) == []
    long = [row._replace(text="x" * 10_000) for row in rows("a", 0, 1)]
    assert len(evidence.mistakes(long, 1)[0]["text"]) == evidence.MOST_CHARACTERS


@pytest.mark.parametrize("most", [None, 2])
def test_texts_leave_only_if_the_spec_has_them(tmp_path: Path, most: int | None) -> None:
    """By default the file holds none of them, whatever was wrong."""
    frame = pl.DataFrame(rows("a", 3, 3), schema=Row._fields, orient="row")
    frame.write_parquet(tmp_path / "predictions.parquet")
    spec = SPEC.model_copy(update={"mistakes": most})
    assert isinstance(spec, BundleSpec)
    needs: Any = stage.Needs({spec.scores: tmp_path}, None, Machine(device="cpu"), root=tmp_path)  # type: ignore[arg-type]
    bundle.write_evidence(spec, needs, tmp_path)
    text = (tmp_path / "scores.json").read_text(encoding="utf-8")
    assert len(json.loads(text)["mistakes"]) == (most or 0)
    assert ("wrong" in text) is (most is not None)
