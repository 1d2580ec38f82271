"""The graph: what code a stage can run, and what two revisions differ in."""

from pathlib import Path

import pytest

from lmspec.errors import LmspecError
from lmspec.pipeline.closure import OnDisk, closure
from lmspec.pipeline.difference import MISSING, Row, rows


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small package with every form of import."""
    files = {
        "stages/__init__.py": "",
        "stages/a.py": "import os\nfrom lmspec import b\nfrom lmspec.c import name\n",
        "lmspec/__init__.py": "",
        "lmspec/b.py": "def f():\n    import lmspec.d\n",
        "lmspec/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    import lmspec.e\nelse:\n    import lmspec.f\n",
        "lmspec/d.py": "if not TYPE_CHECKING:\n    import lmspec.g\n",
        **{f"lmspec/{name}.py": "" for name in "efgh"},
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_the_closure_is_what_can_be_imported(tree: Path) -> None:
    """Submodules in either form, in functions and branches, and packages; no type-checking ones."""
    names = ["__init__", *"bcdfg"]
    assert closure(("stages.a",), OnDisk(tree)).files == (
        *(f"lmspec/{n}.py" for n in names),
        "stages/__init__.py",
        "stages/a.py",
    )


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("from lmspec.methods import gone", "lmspec.methods.gone"),
        ("from lmspec.methods.gone import f", "lmspec.methods.gone"),
        ("import lmspec.gone.deeper", "lmspec.gone.deeper"),
        ("from lmspec.methods import logistic\nfrom lmspec.specs.checks import model", None),
        ("from lmspec.errors import LmspecError\nimport lmspec.methods.sources", None),
    ],
)
def test_a_stage_of_another_lmspec_is_refused(tmp_path: Path, line: str, lost: str | None) -> None:
    """Before DVC removes what it made earlier; a name that a file defines is no module."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").touch()
    (tmp_path / "stages/a.py").write_text(line)
    if lost is None:
        assert closure(("stages.a",), OnDisk(tmp_path)).outside
        return
    with pytest.raises(LmspecError) as caught:
        closure(("stages.a",), OnDisk(tmp_path))
    assert caught.value.place == "stages/a.py"
    assert caught.value.found == f"it imports {lost}, which this lmspec does not have"


def test_what_the_closure_cannot_follow_is_an_error(tree: Path) -> None:
    """A relative import, a file that does not parse, a missing module: the place and the remedy."""
    (tree / "lmspec/b.py").write_text("\nfrom . import h\n")
    with pytest.raises(LmspecError, match=r"b\.py:2: a relative import"):
        closure(("stages.a",), OnDisk(tree))
    (tree / "lmspec/h.py").write_text("def\n")
    with pytest.raises(LmspecError, match=r"h\.py:1: it does not parse"):
        closure(("lmspec.h",), OnDisk(tree))
    with pytest.raises(LmspecError, match="it has no file"):
        closure(("stages.b",), OnDisk(tree))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, [Row("a", 1, 1)]),
        ({"a": 1}, {"b": 2}, [Row("a", 1, MISSING), Row("b", MISSING, 2)]),
        ({"a": {"b": 1}}, {"a": None}, [Row("a", MISSING, None), Row("a.b", 1, MISSING)]),
        ({"a": {}}, {"a": None}, [Row("a", MISSING, None)]),
        ({"a": [1, 2]}, {"a": [1]}, [Row("a[0]", 1, 1), Row("a[1]", 2, MISSING)]),
        ({"a": {"b": 1}}, {}, [Row("a.b", 1, MISSING)]),
    ],
)
def test_differences_lose_no_leaf(old: object, new: object, expected: list[Row]) -> None:
    """A leaf that only one value has is missing in the other; null is a value."""
    assert list(rows(old, new)) == expected


def test_one_and_true_differ() -> None:
    """Python calls them equal, and DVC does; a spec does not. 1 and 1.0 are one value to it."""
    assert [r.differs for r in rows({"a": 1, "b": 1, "c": 1}, {"a": True, "b": 1.0, "c": 1})] == [
        True,
        False,
        False,
    ]
    assert Row("a", True, 2).change is None and Row("a", 1, 2.5).change == 1.5
