"""Git merges the dvc.lock of two branches stage by stage; conflicting stages are rebuilt."""

import hashlib
import json
import random
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.formats import annotations
from lmspec.formats.annotations import Appending
from lmspec.git import merge_driver
from lmspec.methods.annotating import Annotation
from tests import miniature

ROOT = Path(__file__).parent.parent
BASE = {"model-a": 1, "model-b": 1, "scores-a": 1, "scores-b": 1}
Versions = Mapping[str, int]


def entry(stage: str, version: int, files: Mapping[str, bytes]) -> str:
    """What DVC records of a stage that wrote these files."""
    outs = "".join(
        f"    - path: {path}\n      hash: md5\n      md5: {md5(content)}\n"
        for path, content in files.items()
    )
    params = f"    params:\n      params.yaml:\n        {stage}: {version}\n"
    return f"  {stage}:\n    cmd: make {stage}\n{params}    outs:\n{outs}"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def results(stage: str, version: int) -> dict[str, bytes]:
    """What its build writes for git. Versions 8 and 9 are two starts with one result."""
    value = min(version, 8)
    return {
        f"data/metrics/{stage}.json": json.dumps({"value": value}).encode(),
        f"data/metrics/{stage}/rows.csv": f"text,value\na,{value}\n".encode(),
        f"data/provenance/{stage}.json": json.dumps([value]).encode(),
    }


def lock(versions: Versions) -> str:
    """dvc.lock after a build."""
    return "schema: '2.0'\nstages:\n" + "".join(
        entry(stage, v, results(stage, v)) for stage, v in versions.items()
    )


def build(folder: Path, versions: Versions) -> None:
    """Write what a build leaves for git, and commit it."""
    (folder / "dvc.lock").write_text(lock(versions))
    for stage, version in versions.items():
        for name, content in results(stage, version).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "built")


def git(folder: Path, *arguments: str, code: int = 0) -> str:
    return miniature.run(folder, "git", *arguments, code=code)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A built project of four stages on the branch main, in a clone that has the driver."""
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "user.name", "t")
    git(tmp_path, "config", "user.email", "t@example.org")
    (tmp_path / "params.yaml").write_text("model: {}\n")
    miniature.lmspec(tmp_path, "init", "--merge-driver")
    build(tmp_path, BASE)
    return tmp_path


def branches(folder: Path, ours: Versions, theirs: Versions) -> None:
    """Both begin at BASE; `theirs` is another branch, and main, with `ours`, is checked out."""
    git(folder, "checkout", "-q", "-b", "theirs")
    build(folder, {**BASE, **theirs})
    git(folder, "checkout", "-q", "main")
    build(folder, {**BASE, **ours})


def locked(folder: Path) -> dict[str, dict[str, str]]:
    """Stage -> path -> MD5 of what dvc.lock says that it wrote."""
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    return {
        stage: {out["path"]: out["md5"] for out in about["outs"]} for stage, about in stages.items()
    }


def require_true(folder: Path) -> None:
    """Every result of a stage in dvc.lock has the MD5 recorded there; the merge is finished."""
    for outs in locked(folder).values():
        files = {
            path: there for path, there in outs.items() if not there.endswith(".dir")
        }  # a folder is no file of results
        assert files == {path: md5((folder / path).read_bytes()) for path in files}
    assert git(folder, "status", "--porcelain") == ""


def test_stages_that_one_side_changed_are_taken_from_it(repository: Path) -> None:
    """Nothing is left to do: the lock is that of a build of both changes."""
    branches(repository, {"model-a": 2, "scores-a": 2}, {"model-b": 3, "scores-b": 3, "model-c": 1})
    output = git(repository, "merge", "theirs", "-m", "both")
    assert "lmspec:" not in output and "CONFLICT" not in output
    assert (repository / "dvc.lock").read_text() == lock(
        {"model-a": 2, "model-b": 3, "scores-a": 2, "scores-b": 3, "model-c": 1}
    )
    require_true(repository)


def test_a_stage_that_both_changed_is_left_out_and_named(repository: Path) -> None:
    """No mix of hashes; its files stay those of the current branch, and dvc.lock does not know
    them."""
    branches(
        repository,
        {"model-a": 2, "scores-a": 2, "model-b": 2},
        {"model-a": 3, "scores-a": 3, "scores-b": 3},
    )
    output = git(repository, "merge", "theirs", "-m", "both")
    assert (
        "both branches changed model-a, scores-a in different ways" in output
        and "run `dvc repro`" in output
    )
    assert "data/metrics/scores-a/rows.csv: both branches changed it" in output
    assert (repository / "dvc.lock").read_text() == lock({"model-b": 2, "scores-b": 3})
    assert json.loads((repository / "data/metrics/model-a.json").read_text()) == {"value": 2}
    require_true(repository)


def test_without_the_driver_git_reports_a_conflict(repository: Path) -> None:
    """What the driver is for; a clone that does not have it is no worse off than before."""
    git(repository, "config", "--remove-section", "merge.lmspec")
    branches(repository, {"model-a": 2}, {"model-a": 3})
    output = git(repository, "merge", "theirs", "-m", "both", code=1)
    assert (
        "CONFLICT" in output
        and "dvc.lock" in output
        and "<<<<<<<" in (repository / "dvc.lock").read_text()
    )


def test_a_rebase_merges_as_a_merge_does(repository: Path) -> None:
    """Also over several commits, of which a later one changes again what was left out before."""
    branches(repository, {"model-a": 2, "model-b": 2}, {"model-a": 3})
    git(repository, "checkout", "-q", "theirs")
    build(repository, {**BASE, "model-a": 4, "scores-b": 4})
    output = git(repository, "rebase", "main")
    assert "both branches changed model-a in different ways" in output
    assert (repository / "dvc.lock").read_text() == lock(
        {"model-b": 2, "scores-a": 1, "scores-b": 4}
    )
    require_true(repository)


@pytest.mark.parametrize("seed", range(3))
def test_what_dvc_lock_knows_is_what_its_build_wrote(repository: Path, seed: int) -> None:
    """Random changes of both branches: a stage both changed is left out; every entry is that of one
    branch."""
    draw = random.Random(seed)
    sides = [
        {stage: draw.choice([1, 1, 2, 3, 8, 9]) for stage in [*BASE, "model-new"]} for _ in range(2)
    ]
    branches(repository, *sides)
    git(repository, "merge", "theirs", "-m", "both")
    known = locked(repository)
    for stage in sides[0]:
        old, one, other = BASE.get(stage), sides[0][stage], sides[1][stage]
        assert (stage in known) == (one == other or old in (one, other)), (stage, old, one, other)
    require_true(repository)


def test_of_a_lock_that_dvc_did_not_write_git_keeps_the_conflict(repository: Path) -> None:
    """The driver refuses; nothing is made up."""
    git(repository, "checkout", "-q", "-b", "theirs")
    (repository / "dvc.lock").write_text("<<<<<<< HEAD\n" + lock({**BASE, "model-a": 3}))
    git(repository, "commit", "-q", "-a", "-m", "not merged")
    git(repository, "checkout", "-q", "main")
    build(repository, {**BASE, "model-a": 2})
    output = git(repository, "merge", "theirs", "-m", "both", code=1)
    assert "it is not a valid lock file" in output and "CONFLICT" in output


def test_a_lock_goes_through_byte_for_byte() -> None:
    """This repository's own; and without a stage it is what DVC writes without that stage."""
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    text = subprocess.run(
        ["git", "show", "HEAD:dvc.lock"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    assert merge_driver.read(text).text() == text
    name = next(iter(merge_driver.read(text).stages))
    changed = [
        text.replace(f"  {name}:\n    cmd: ", f"  {name}:\n    cmd: {word} ", 1)
        for word in ("one", "other")
    ]
    merged = merge_driver.lock(text, *changed)
    assert merged.dropped == (name,)
    document = parse_yaml_for_update(text, "dvc.lock")
    del document["stages"][name]
    assert merged.text == dumps_yaml(document)


@pytest.mark.parametrize(
    ("old", "one", "other", "versions", "dropped"),
    [
        ({"a-a": 1}, {}, {"a-a": 1}, {}, ()),
        ({"a-a": 1}, {}, {"a-a": 2}, {}, ("a-a",)),
        ({}, {"a-a": 1}, {"b-b": 1}, {"a-a": 1, "b-b": 1}, ()),
        ({}, {"a-a": 1}, {"a-a": 2}, {}, ("a-a",)),
        ({"a-a": 1}, {"a-a": 2}, {"a-a": 2}, {"a-a": 2}, ()),
    ],
)
def test_stages_that_come_and_go(
    old: Versions, one: Versions, other: Versions, versions: Versions, dropped: tuple[str, ...]
) -> None:
    """A stage that one side removed and the other rebuilt is left out."""
    sides = [lock(side) if side else "schema: '2.0'\nstages: {}\n" for side in (old, one, other)]
    merged = merge_driver.lock(*sides)
    assert merged.dropped == dropped
    assert list(merge_driver.read(merged.text).stages) == list(versions)
    assert merged.text == (lock(versions) if versions else "schema: '2.0'\nstages: {}\n")


def test_what_is_no_stage_is_merged_whole_or_not() -> None:
    """A section of DVC's that lmspec does not write."""
    plain = lock(BASE)
    one, other = (f"{plain}datasets:\n- name: {name}\n" for name in "xy")
    assert (
        merge_driver.lock(plain, one, plain).text == one == merge_driver.lock("", plain, one).text
    )
    with pytest.raises(LmspecError, match="both branches changed its `datasets`"):
        merge_driver.lock(plain, one, other)


def test_answers_of_people_in_two_branches_are_merged_to_all_lines(repository: Path) -> None:
    """Also where both begin the file: its header is once there."""
    file = repository / "labels/queue-next.csv"
    git(repository, "branch", "theirs")
    for branch, own in (("theirs", "a1"), ("main", "b2")):
        git(repository, "checkout", "-q", branch)
        one = Annotation(own * 8, "pos", own, "2026-11-30T09:30:00Z", "queue.next", "label")
        Appending(file, file.name).add(one)
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", own)
    git(repository, "merge", "-q", "theirs", "-m", "both")
    assert {one.annotator for one in annotations.read(file, file.name)} == {"a1", "b2"}


def test_the_driver_is_installed_once_and_beside_what_is_there(repository: Path) -> None:
    """Existing lines of .gitattributes stay; refused outside git, and outside a project."""
    attributes = repository / ".gitattributes"
    attributes.write_text("*.png binary")
    for _ in range(2):
        output = miniature.lmspec(repository, "init", "--merge-driver")
    assert "next: commit .gitattributes" in output  # it was not, after the first time
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-q", "-m", "attributes")
    assert "next" not in miniature.lmspec(repository, "init", "--merge-driver")
    assert attributes.read_text().splitlines() == ["*.png binary", *merge_driver.ATTRIBUTES]
    assert (ROOT / ".gitattributes").read_text().splitlines() == merge_driver.ATTRIBUTES
    (repository / "params.yaml").unlink()
    assert "there is no such file" in miniature.lmspec(repository, "init", "--merge-driver", code=1)
    shutil.rmtree(repository / ".git")
    (repository / "params.yaml").touch()
    assert "it is in no git repository" in miniature.lmspec(
        repository, "init", "--merge-driver", code=1
    )


def test_dvc_takes_what_was_left_out_from_its_cache(built: Path, tmp_path: Path) -> None:
    """DVC reads the merged lock; a stage left out whose result is cached does not run."""
    project = tmp_path / "copy"
    shutil.copytree(built, project, symlinks=True)
    path = project / "dvc.lock"
    text = path.read_text()
    changed = [
        re.sub(r"(lmspec\.run\s+model) cnn", rf"\1 {word}", text, count=1)
        for word in ("one", "other")
    ]
    merged = merge_driver.lock(text, *changed)
    assert merged.dropped == ("model-cnn",)
    path.write_text(merged.text)
    assert miniature.ran(miniature.dvc(project, "repro")) == []
    assert dict(merge_driver.read(path.read_text()).stages) == dict(merge_driver.read(text).stages)


@pytest.mark.slow
def test_a_merged_project_is_rebuilt_where_both_changed_it(built: Path, tmp_path: Path) -> None:
    """Two branches train the CNN differently; the merge trains it with both changes."""
    project = tmp_path / "copy"
    shutil.copytree(built, project, symlinks=True)
    miniature.lmspec(project, "init", "--merge-driver")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "driver")
    spec = (project / "params.yaml").read_text()
    edits = {
        "theirs": ("seeds: 1\n\nstudent", "seeds: 2\n\nstudent"),
        "main": ("widths: [1, 2, 3]", "widths: [1, 2]"),
    }
    for branch, edit in edits.items():
        git(project, "checkout", "-q", *([] if branch == "main" else ["-b"]), branch)
        (project / "params.yaml").write_text(spec.replace(*edit))
        assert "model-cnn" in miniature.ran(miniature.dvc(project, "repro", "model-cnn"))
        git(project, "add", "-A")
        git(project, "commit", "-q", "-m", branch)
    output = git(project, "merge", "theirs", "-m", "both")
    assert "model-cnn in different ways" in output and "model-cnn" not in locked(project)
    require_true(project)
    assert miniature.ran(miniature.dvc(project, "repro", "model-cnn")) == ["model-cnn"]
    spec_then = YAML(typ="safe").load(project / "dvc.lock")["stages"]["model-cnn"]["params"][
        "params.yaml"
    ]["model.cnn"]
    assert spec_then["training"]["seeds"] == 2 and spec_then["architecture"]["widths"] == [1, 2]


def test_an_empty_lock_is_merged_with_nothing() -> None:
    """DVC was killed while writing it: no stage was removed. An empty base has no stages."""
    base, built = lock(BASE), lock({**BASE, "model-c": 1})
    for ours, theirs, whole in (("", built, "theirs"), (built, "", "ours")):
        with pytest.raises(LmspecError, match="it is empty on one side") as refused:
            merge_driver.lock(base, ours, theirs)
        assert f"git checkout --{whole} dvc.lock" in refused.value.remedy
    assert merge_driver.lock("", base, built).text == merge_driver.lock("", "", built).text == built
