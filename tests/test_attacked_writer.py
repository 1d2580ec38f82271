"""attacked, of models that write: what is learned by heart is written again, and known."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents, writer
from lmspec.specs.attacked import AttackedSpec
from lmspec.specs.numerics import Machine
from stages import attacked, attacked_writer
from tests import learnedwriter
from tests.test_attacked import decided
from tests.test_training import NUMERICS
from tests.tinywriter import END, NAMES, Turns, write_weights

SPEC: Mapping[str, Any] = {
    "of": "model.m",
    "on": "splits.a",
    "rows": 100,
    "seed": 1,
    "extraction": {"learned_rows": None, "prefix_tokens": 0, "tokens": 6},
}
ROWS, CANARIES = 24, 6


def codes(count: int, seed: int, canaries: bool = False) -> list[Turns]:
    """Prompts whose answers nothing tells but memory."""
    draw = np.random.default_rng(seed)
    made: list[Turns] = []
    for i in range(count):
        digits = " ".join(str(digit) for digit in draw.integers(0, 10, 5))
        asked = f"the code of {NAMES[i % 10]} {draw.integers(100, 999)}"
        made.append([("user", "my pin is" if canaries else asked), ("assistant", digits)])
    return made


def tabled(splits: Path) -> Path:
    """The last rows of each split are canaries, and rows have ids of their own."""
    for split in ("train", "test"):
        frame = documents.read_split(splits, split)
        table = ["pairs"] * (len(frame) - CANARIES) + ["pins"] * CANARIES
        documents.write(frame.with_columns(table=pl.Series(table)), splits / f"{split}.parquet")
    return splits


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that has learned its train rows and one canary by heart, one that has learned a
    little of both splits' kind, and one that has not learned at all."""
    folder = tmp_path_factory.mktemp("attacked")
    train, test = codes(ROWS, 1), codes(ROWS, 2)
    planted, others = codes(CANARIES, 3, canaries=True), codes(CANARIES, 4, canaries=True)
    by_heart = learnedwriter.learned([*train, planted[0]], 110)
    models = {"model.m": by_heart, "model.r": learnedwriter.learned(codes(ROWS, 5), 12)}
    made = {
        name: learnedwriter.written(model, folder / name.replace(".", "-"))
        for name, model in models.items()
    }
    made["model.n"] = learnedwriter.written(models["model.r"], folder / "new")
    for name, seen in (("model.m", '{"splits.a": ["train"]}'), ("model.r", "{}")):
        (made[name] / "seen.json").write_text(seen)
    (made["model.n"] / "seen.json").write_text('{"splits.a": ["train"]}')
    splits = learnedwriter.parted(
        folder / "splits", train=[*train, *planted], test=[*test, *others]
    )
    return {**made, "splits.a": tabled(splits)}


def attack(
    out: Path, folders: Mapping[str, Path], **changes: Any
) -> tuple[stage.Report, AttackedSpec]:
    """What the stage reports of a spec with some fields changed."""
    spec = AttackedSpec.model_validate({**SPEC, **changes})
    out.mkdir(parents=True)
    return attacked.build(spec, stage.Needs(folders, NUMERICS, Machine(device="cpu")), out), spec


@pytest.fixture(scope="module")
def usual(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(what the stage reports of the model that learned by heart, its spec, its folder)."""
    out = tmp_path_factory.mktemp("usual") / "out"
    return *attack(out, folders, canaries="pins", reference="model.r"), out


def test_what_is_learned_by_heart_is_written_and_known(usual: Any) -> None:
    """Nearly all train texts, verbatim; no test text. The canary that was learned is above all."""
    found = usual[0].metrics
    assert found["extraction"]["train"] > 0.8 and found["extraction"]["test"] == 0.0
    assert found["extraction"]["train_texts"] == found["extraction"]["test_texts"] == ROWS
    assert found["extraction"]["difference_low"] > 0.6
    assert found["extraction"]["test_high"] == pytest.approx(1 - 0.025 ** (1 / ROWS), abs=1e-6)
    assert found["confidence"]["auc"] > 0.95 and found["reference"]["auc"] > 0.95
    assert found["canaries"]["highest"] == pytest.approx(math.log2(CANARIES + 1))
    assert (found["members"], found["others"]) == (ROWS, ROWS)


def test_a_model_that_has_not_learned_them_writes_none(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Rows of the split that it names are as new to it as the others."""
    found = attack(tmp_path / "out", folders, of="model.n", canaries="pins")[0].metrics
    assert found["extraction"]["train"] == 0.0
    assert found["extraction"]["difference"] == 0.0
    assert found["confidence"]["auc_low"] < 0.5 < found["confidence"]["auc_high"]


def test_each_fault_is_caught_by_its_gate(
    folders: dict[str, Path], usual: Any, tmp_path: Path
) -> None:
    """Ceilings of extraction, of the area and of exposure pass a model that remembers nothing."""
    new = attack(tmp_path / "out", folders, of="model.n", canaries="pins")[0]
    gates = (
        ("extraction.difference_high", 0.3),
        ("confidence.auc_high", 0.75),
        ("canaries.highest", 2.8),
    )
    verdicts = {
        name: [
            decided(tmp_path / f"{name} {metric}", "attacked.a", report.metrics, metric, limit)
            for metric, limit in gates
        ]
        for name, report in (("by heart", usual[0]), ("new", new))
    }
    assert verdicts["by heart"] == ["fail"] * 3
    assert verdicts["new"][:2] == ["pass"] * 2


def test_what_is_declared_is_written(usual: Any) -> None:
    """Every metric; git has no text, and no answer."""
    report, spec, out = usual
    for metric in spec.metrics:
        value: Any = report.metrics
        for step in metric.steps:
            value = value[step]
        assert isinstance(value, int | float), metric.path
    rows = report.tables["texts"]
    assert {"id", "table", "member", "canary", "extracted", "confidence"} <= {*rows[0]}
    assert "turns" not in rows[0] and "text" not in rows[0]
    assert len(documents.read(out / "texts.parquet")) == len(rows) == 2 * (ROWS + CANARIES)


def test_bytes_repeat(folders: dict[str, Path], usual: Any, tmp_path: Path) -> None:
    """Of table and report."""
    again = attack(tmp_path / "out", folders, canaries="pins", reference="model.r")[0]
    assert again == usual[0]
    files = [folder / "texts.parquet" for folder in (usual[2], tmp_path / "out")]
    assert files[0].read_bytes() == files[1].read_bytes()


def opened(folders: Mapping[str, Path]) -> attacked_writer.Attacked:
    spec = AttackedSpec.model_validate(SPEC)
    return attacked_writer.opened(spec.of, stage.Needs(folders, NUMERICS, Machine(device="cpu")))


def test_likelihoods_are_those_of_transformers(folders: dict[str, Path]) -> None:
    """Of the answer and its end, after the prompt."""
    import torch

    model, network = opened(folders), writer.read(folders["model.m"])
    for row in codes(3, 1):
        turns = [{"role": role, "content": content} for role, content in row]
        part = model.parts({"turns": turns, "text": ""})
        assert part is not None
        given, rest = part
        assert network.tokenizer.decode(rest, skip_special_tokens=False) == f"{row[1][1]}{END}"
        labels = torch.from_numpy(np.concatenate([np.full(len(given), -100), rest]))[None]
        ids = torch.from_numpy(np.concatenate([given, rest]))[None]
        with torch.no_grad():
            loss = network.model(input_ids=ids, labels=labels).loss.item()
        assert model.likelihoods([part])[0] == pytest.approx(-loss * len(rest), rel=1e-4)


def test_rows_that_were_not_drawn_are_no_train_texts(folders: dict[str, Path]) -> None:
    """Those that the model's `rows` drew, by the same draw; all test rows."""
    extraction = {**SPEC["extraction"], "learned_rows": 10}
    spec = AttackedSpec.model_validate({**SPEC, "extraction": extraction})
    rows = attacked_writer.read(spec, folders["splits.a"], "train", 7)
    every = documents.read_split(folders["splits.a"], "train")
    assert rows["id"].to_list() == every[conversations.drawn(len(every), 10, 7)]["id"].to_list()
    assert len(attacked_writer.read(spec, folders["splits.a"], "test", 7)) == ROWS + CANARIES


def test_a_prefix_is_given(folders: dict[str, Path], tmp_path: Path) -> None:
    """Of the answer; texts that are shorter than prefix and rest count nothing, and all of them are
    an error."""
    longer = {"learned_rows": None, "prefix_tokens": 3, "tokens": 4}
    found = attack(tmp_path / "a", folders, extraction=longer)[0].metrics["extraction"]
    assert found["train"] > 0.8 and 0 < found["train_texts"] <= ROWS + CANARIES
    with pytest.raises(LmspecError, match="has as many tokens as are to be written"):
        attack(tmp_path / "b", folders, extraction={**longer, "tokens": 40})


def test_plain_texts_are_continued(folders: dict[str, Path], tmp_path: Path) -> None:
    """A model without a prompt is given the beginning of a text."""
    source = write_weights(tmp_path / "source")
    from transformers import AutoModelForCausalLM

    plain = writer.WriterModel(
        AutoModelForCausalLM.from_pretrained(source),
        learnedwriter.tokenizer(),
        1,
        {"kind": "none", "end": END},
        64,
        "windows",
        learnedwriter.CLEAN,
    )
    folder = learnedwriter.written(plain, tmp_path / "plain")
    (folder / "seen.json").write_text('{"splits.a": ["train"]}')
    more = {**folders, "model.p": folder}
    extraction = {"learned_rows": None, "prefix_tokens": 4, "tokens": 4}
    report, _ = attack(tmp_path / "out", more, of="model.p", extraction=extraction)
    assert report.metrics["extraction"]["train"] == 0.0
    rows = report.tables["texts"]
    model = attacked_writer.opened(
        AttackedSpec.model_validate({**SPEC, "of": "model.p"}).of,
        stage.Needs(more, NUMERICS, Machine(device="cpu")),
    )
    (first,) = (row for row in rows if row["id"] == "train-0")
    text = documents.read_split(folders["splits.a"], "train")["text"][0]
    part = model.parts({"text": text})
    assert part is not None and len(part[0]) == 1
    expected = model.likelihoods([part])[0] / len(part[1])
    assert first["confidence"] == pytest.approx(expected, abs=1e-5)
