"""examples/look.ipynb: its cells load every kind of artifact, in a few lines each."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests import explaining, test_traced
from tests.specs import ROOT

NOTEBOOK = ROOT / "examples/look.ipynb"
MOST = 3  # statements that load and show an artifact
NAMES = {
    "corpus": "old",
    "splits": "old",
    "model": "bert",
    "scores": "release",
    "bundle": "release",
    "explained": "a",
    "traced": "a",
}


def cells() -> dict[str, str]:
    """Id -> source, of the cells of code."""
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in found if cell["cell_type"] == "code"}


def test_cells_are_short_and_have_no_output() -> None:
    """So that a diff of the notebook is one of its code; the names are this project's."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert [cell["execution_count"] for cell in code] == [None] * len(code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for name, source in cells().items():
        statements = [
            node
            for node in ast.parse(source).body
            if not isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert name == "names" or len(statements) <= MOST
        assert max(map(len, source.splitlines())) <= 100
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    names: dict[str, Any] = {}
    exec(cells()["names"], names)
    assert all(names[noun] in params[noun] for noun in NAMES if noun in params)


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A built project, with explanations and traces beside what it has."""
    (tmp_path / "data").mkdir()
    for folder in (built / "data").iterdir():
        (tmp_path / "data" / folder.name).symlink_to(folder)
    folders = {
        "model.a": explaining.written(test_traced.encoder(), tmp_path / "made/model"),
        "splits.a": test_traced.texts_of(tmp_path / "made/splits"),
    }
    rows = {"split": "test", "texts": 3}
    explaining.build(tmp_path / "data/explained/a", folders, rows=rows)
    test_traced.build(tmp_path / "data/traced/a", folders)
    return tmp_path


def test_every_cell_runs(project: Path) -> None:
    """In order, in a project that was built; what they load has rows."""
    names: dict[str, Any] = {}
    for name, source in cells().items():
        exec(compile(source, f"look.ipynb, cell {name}", "exec"), names)
        if name == "names":
            assert {*NAMES} < {*names}
            names |= NAMES | {"root": project}
    assert all(len(names[table]) > 0 for table in ("texts", "predictions", "words", "tokens"))
    assert all(len(rows) for rows in names["parts"].values())
    assert len(names["shipped"].predict_many(["good"])) == 1
    assert names["network"].kind == "transformer"
