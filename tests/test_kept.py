"""test_kept: what is in an output comes back with `dvc checkout`, or the build is refused."""

import os
import random
import shutil
from pathlib import Path

import pytest
from dvc.fs import localfs  # type: ignore[import-untyped]
from dvc.ignore import (  # type: ignore[import-untyped]
    DvcIgnoreFilter,
    DvcIgnorePatterns,
)
from dvc.pathspec_math import PatternInfo  # type: ignore[import-untyped]

from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.run import kept
from tests import miniature, onesource

PARTS = "a b ab a.b * ** ? *.b a* [ab] [!a] [^b]b []a] \\* \\a a** [a .git [a-c].b **b"
NAMES = ["a", "b", "ab", "a.b", "c", "*", ".git", "]", "[a", "bb", "c.b"]
HIDDEN = (".git/config", ".git", ".hg/x", ".dvc/x", "b.pyc", "__pycache__/x", "deep/.venv/d.txt")


def test_dvc_reads_a_dvcignore_in_the_same_way() -> None:
    """Random lines about random paths; DVC's own reading decides."""
    draw = random.Random(1)
    seen = set()
    for _ in range(1500):
        lines = [line(draw) for _ in range(draw.randint(1, 4))]
        theirs = DvcIgnorePatterns([PatternInfo(text, "") for text in lines], "/r", "/")
        rules = [rule for text in lines for rule in kept.parsed(text, Path("/r"), text)][::-1]
        for _ in range(8):
            parts = [draw.choice(NAMES) for _ in range(draw.randint(1, 3))]
            is_folder = draw.random() < 0.5
            hidden = any(
                kept.ignoring(Path("/r", *parts[:i]), is_folder or i < len(parts), rules)
                for i in range(1, len(parts) + 1)
            )
            folder = "/".join(["/r", *parts[:-1]])
            assert hidden == theirs.matches(folder, parts[-1], is_folder), (lines, parts, is_folder)
            seen.add(hidden)
    assert seen == {True, False}


def line(draw: random.Random) -> str:
    """A pattern of one to three parts."""
    parts = "/".join(draw.choice(PARTS.split()) for _ in range(draw.choice([1, 1, 1, 2, 2, 3])))
    ends = [draw.random() < 0.25, draw.random() < 0.25, draw.random() < 0.3]
    return "!" * ends[0] + "/" * ends[1] + parts + "/" * ends[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of DVC with the `.dvcignore` of this one, and a folder to place."""
    (tmp_path / ".dvc").mkdir()
    shutil.copyfile(miniature.ROOT / ".dvcignore", tmp_path / ".dvcignore")
    write(tmp_path / "data/sources/.new.partial/a.txt")
    return tmp_path


def write(path: Path) -> None:
    """A file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


@pytest.mark.parametrize("name", HIDDEN)
def test_a_file_that_dvc_does_not_see_is_refused(root: Path, name: str) -> None:
    """With its path and the rule. The control is DVC, which lists the other file alone."""
    made, place = root / "data/sources/.new.partial", Path("data/sources/new")
    write(made / name)
    with pytest.raises(LmspecError, match="DVC does not keep it") as caught:
        kept.settle(made, place, root)
    assert f"data/sources/new/{name}".startswith(caught.value.place.removeprefix(f"{root}/"))
    assert sorted(file for file, _ in folders.files(made)) == sorted(["a.txt", name])
    made.rename(root / place)
    found = DvcIgnoreFilter(localfs, str(root)).find(localfs, str(root / place))
    assert list(found) == [str(root / place / "a.txt")]


def test_rules_of_an_outer_project_and_of_a_nearer_folder_hold(root: Path) -> None:
    """The nearer one counts; a `.dvcignore` in the output, which DVC refuses, is refused first."""
    made, place = root / "data/sources/.new.partial", Path("data/sources/new")
    write(made / "b.pyc")
    (root / "data/.dvcignore").write_text("!*.pyc\na.*\n")
    with pytest.raises(LmspecError, match=r"a\.txt: DVC does not keep it \(.*data/.dvcignore:2"):
        kept.settle(made, place, root)
    (root / "data/.dvcignore").write_text("!*.pyc\n")
    kept.settle(made, place, root)
    write(made / "deep/.dvcignore")
    with pytest.raises(LmspecError, match=r"deep/\.dvcignore: DVC does not keep it"):
        kept.settle(made, place, root)


def test_modes_links_and_empty_folders_are_no_part_of_an_output(root: Path) -> None:
    """DVC would bring none back. A link becomes the file to which it leads, whose mode stays."""
    made = root / "data/sources/.new.partial"
    write(made / "deep/tool")
    (made / "deep/tool").chmod(0o755)
    (made / "empty/within").mkdir(parents=True)
    (root / "input").write_text("i")
    (root / "input").chmod(0o755)
    (made / "link").symlink_to(root / "input")
    kept.settle(made, Path("data/sources/new"), root)
    assert not (made / "empty").exists() and not os.access(made / "deep/tool", os.X_OK)
    assert (made / "deep/tool").read_text() == "x" and (made / "link").read_text() == "i"
    assert not (made / "link").is_symlink() and os.access(root / "input", os.X_OK)


def test_a_source_with_such_a_file_is_not_built(small: Path) -> None:
    """Nor is one from a folder in which DVC would not see an edit; the former output stays."""
    for name in ("b.pyc", ".venv/d.txt"):
        write(small / "raw" / name)
        onesource.declare(small)
        output = miniature.run(small, *onesource.STAGE, code=1)
        assert "DVC does not keep it (.dvcignore:" in output and "Traceback" not in output
        assert not (small / "data/sources/new").exists()
        shutil.rmtree(small / "raw")
        write(small / "raw/a.txt")
    onesource.declare(small)
    miniature.run(small, *onesource.STAGE)
    assert [name for name, _ in folders.files(small / "data/sources/new")] == ["a.txt"]


@pytest.fixture
def small(root: Path) -> Path:
    """A project of one source, with the `.dvcignore` of this one."""
    shutil.rmtree(root / "data")
    return onesource.make(root)


def test_an_output_without_a_file_is_refused(root: Path) -> None:
    """DVC would keep it as a folder that exists; with one file it is an output (the control)."""
    folder = root / "out"
    (folder / "empty").mkdir(parents=True)
    with pytest.raises(LmspecError, match="left no file"):
        kept.settle(folder, Path("data/x"), root)
    (folder / "empty/file").touch()
    kept.settle(folder, Path("data/x"), root)
