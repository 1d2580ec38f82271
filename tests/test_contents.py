"""In what two builds differ: the file, and what in it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from lmspec.audit import contents
from lmspec.audit.contents import DIFFERENT, SAME


def tensors(path: Path, change: float = 0.0, metadata: str = "a") -> None:
    weights = {"b.weight": np.arange(4, dtype=np.float32), "a.weight": np.ones((2, 2), np.float32)}
    weights["a.weight"][1, 0] += change
    save_file(weights, path / "model.safetensors", metadata={"m": metadata})


def graph(path: Path, weight: float = 1.0, op: str = "Add", doc: str = "") -> None:
    io = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    node = helper.make_node(op, ["x", "w"], ["y"], name="n")
    w = numpy_helper.from_array(np.array([weight], np.float32), "w")
    onnx.save(
        helper.make_model(helper.make_graph([node], "g", io[:1], io[1:], [w]), doc_string=doc),
        path / "model.onnx",
    )


def table(path: Path, label: str = "good", rows: int = 3) -> None:
    pl.DataFrame({"id": range(rows), "label": ["bad", label, "bad"][:rows]}).write_parquet(
        path / "t.parquet"
    )


def values(path: Path, accuracy: object = 0.5, indent: int = 2) -> None:
    (path / "m.json").write_text(
        json.dumps({"test": {"accuracy": accuracy, "n": 3}}, indent=indent)
    )


def lines(path: Path, second: str = "x") -> None:
    (path / "a.csv").write_text(f"id\n{second}\n")


@pytest.mark.parametrize(
    ("write", "change", "verdict", "what"),
    [
        (
            tensors,
            {"change": 0.25},
            DIFFERENT,
            "tensor a.weight differs by up to 0.25; 1 of 2 differ",
        ),
        (tensors, {"metadata": "b"}, SAME, "other bytes"),
        (graph, {"weight": 1.5}, DIFFERENT, "weight w differs by up to 0.5; 1 of 1 differ"),
        (graph, {"op": "Mul"}, DIFFERENT, "node 0 is Add n and Mul n"),
        (graph, {"doc": "d"}, DIFFERENT, "its metadata differ"),
        (table, {"label": "fair"}, DIFFERENT, "row 1, column label: 'good' and 'fair'"),
        (table, {"rows": 2}, DIFFERENT, "it has 3 and 2 rows"),
        (values, {"accuracy": 0.75}, DIFFERENT, "test.accuracy: 0.5 and 0.75; 1 values differ"),
        (values, {"accuracy": None}, DIFFERENT, "test.accuracy: 0.5 and None"),
        (values, {"indent": 1}, SAME, "other bytes"),
        (lines, {"second": "y"}, DIFFERENT, "line 2: 'x' and 'y'"),
    ],
)
def test_the_place_of_the_difference_is_named(
    tmp_path: Path, write: Callable[..., None], change: dict[str, object], verdict: str, what: str
) -> None:
    """Tensors, nodes, rows, keys and lines; the same build twice has no difference."""
    folders = [tmp_path / name for name in ("one", "same", "other")]
    for folder, arguments in zip(folders, ({}, {}, change), strict=True):
        folder.mkdir()
        write(folder, **arguments)
    assert contents.findings(folders[0], folders[1]) == []
    (found,) = contents.findings(folders[0], folders[2])
    assert found.verdict == verdict and what in found.what


def test_a_file_of_one_build_alone_and_a_broken_one_are_differences(tmp_path: Path) -> None:
    """Nothing is taken for the same because it could not be read."""
    for name, content in (("one", b"ab"), ("other", b"ac")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.safetensors").write_bytes(content)
    (tmp_path / "one/extra").touch()
    found = contents.findings(tmp_path / "one", tmp_path / "other")
    assert [f.verdict for f in found] == [DIFFERENT] * 2
    assert (
        found[0].what == "only one of the two builds made it"
        and "byte 1 is the first that differs" in found[1].what
    )


def test_the_largest_difference_is_measured_where_only_numbers_differ(tmp_path: Path) -> None:
    """So that a tolerance can be held against it, and never hides a label that changed."""
    for name, change, accuracy in (("one", 0.0, 0.5), ("other", 0.25, None)):
        (tmp_path / name).mkdir()
        tensors(tmp_path / name, change)
        values(tmp_path / name, accuracy)
    json_file, tensor_file = contents.findings(tmp_path / "one", tmp_path / "other")
    assert tensor_file.largest == 0.25 and json_file.largest is None
