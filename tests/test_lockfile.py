"""The one reader of dvc.lock: its pieces are the file, and its values are what YAML gives."""

import ast
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.formats import lockfile

ROOT = Path(__file__).parent.parent
PATHS = [
    "data/a",
    "with space/a.py",
    "a: b",
    "- a",
    "'quoted'",
    "#a",
    "ä/ö.py",
    "~",
    "1",
    "data/x.dir",
]


def by_yaml(text: str) -> dict[str, dict[str, dict[str, str]]]:
    """Stage -> deps and outs -> path -> MD5, without the shortcut."""
    stages = YAML(typ="safe").load(text)["stages"]
    return {
        stage: {
            kind: {str(file["path"]): str(file.get("md5", "")) for file in entry.get(kind, ())}
            for kind in ("deps", "outs")
        }
        for stage, entry in stages.items()
    }


def read(text: str) -> dict[str, dict[str, dict[str, str]]]:
    return {
        stage: {"deps": dict(run.deps), "outs": dict(run.outs)}
        for stage, run in lockfile.runs(text).items()
    }


def dvc_lock(paths: list[str]) -> str:
    """As DVC writes it: two stages that read and make these paths."""
    files = [
        {"path": path, "hash": "md5", "md5": f"{i:032x}", "size": i} for i, path in enumerate(paths)
    ]
    entry: dict[str, Any] = {
        "cmd": "python -m stages.model a",
        "deps": files,
        "params": {"params.yaml": {"model.a": {"deps": [1, {"path": "x", "md5": "y"}], "k": None}}},
        "outs": files[::-1],
    }
    document = {"schema": "2.0", "stages": {"model-a": entry, "model-b": {"cmd": "echo"}}}
    text: str = dumps_yaml(document)
    return text


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_needs_quotes_is_read_as_yaml_reads_it(path: str) -> None:
    """Whether or not the shortcut takes the others of its list; a stage without files has none."""
    for text in (dvc_lock([path]), dvc_lock(["data/a", path, "data/b"])):
        assert read(text) == by_yaml(text)
        assert lockfile.split(text).text() == text
        run = lockfile.split(text).run("model-a")
        assert run == lockfile.runs(text)["model-a"] and run is not None
        assert run.params["params.yaml"]["model.a"]["deps"] == [1, {"path": "x", "md5": "y"}]


def test_this_repositorys_own_is_read_as_yaml_reads_it() -> None:
    """And the shortcut leaves none of its files to YAML: a comparison would take twice as long."""
    text = lockfile.text_in(ROOT)
    assert read(text) == by_yaml(text) and lockfile.split(text).text() == text
    rest = [lockfile.FILES.sub("", entry) for entry in lockfile.split(text).stages.values()]
    assert rest and not any("- path:" in entry for entry in rest)


def test_a_lockfile_in_another_layout_is_read_too() -> None:
    """Comments, other indentation, flow style, CRLF."""
    text = dvc_lock(["data/a", "data/b"])
    for other in (
        f"# a comment\n{text}",
        text.replace("\n      ", "\n        ").replace("\n    -", "\n      -"),
        f"{{schema: '2.0', stages: {{model-a: {{deps: [{{path: data/a, md5: {'a' * 32}}}]}}}}}}",
        text.replace("\n", "\r\n"),
    ):
        assert read(other) == by_yaml(other)


def test_a_conflict_is_refused_at_its_line() -> None:
    """Under the name that the caller gives the file."""
    text = dvc_lock(["data/a"]).replace("  model-b:\n", "<<<<<<< HEAD\n  model-b:\n")
    line = text.splitlines().index("<<<<<<< HEAD") + 1
    with pytest.raises(LmspecError, match="it is not a valid lock file") as refused:
        lockfile.runs(text, "HEAD:dvc.lock")
    assert refused.value.place in (f"HEAD:dvc.lock:{line}", f"HEAD:dvc.lock:{line + 1}")


def test_one_that_is_cut_anywhere_in_a_file_list_is_not_whole() -> None:
    """DVC writes it in parts."""
    text = dvc_lock(["data/a", "data/b"])
    assert lockfile.is_whole(text) and not lockfile.is_whole("")
    assert not any(
        lockfile.is_whole(text[:end]) for end in range(len(text)) if text[end - 1] != "\n"
    )


def test_no_other_module_opens_it() -> None:
    """Every other reader takes the file's name, and its content, from this one.

    run/supervisor asks only whether a stage is named: what it imports is in every cache key.
    """
    named = [
        path.relative_to(ROOT).as_posix()
        for path in [*(ROOT / "lmspec").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == lockfile.NAME
    ]
    assert named == ["lmspec/formats/lockfile.py", "lmspec/run/supervisor.py"]
