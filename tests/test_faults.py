"""test_faults: a full disk and its kin are one message, and what was built before is whole."""

import contextlib
import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.run import faults
from tests import history, miniature, onesource
from tests.limits import largest_file

AGAIN = "do it again"
LARGER = "larger than a file may be"


def _sqlite(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("create table t (a)")
        base.execute("insert into t values (zeroblob(9000))")
        base.commit()


def _torch(path: Path) -> None:
    import torch

    torch.save(torch.arange(9000), path)


def _graph() -> onnx.ModelProto:
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="n" * 9000)]
    return helper.make_model(helper.make_graph(nodes, "g", shape[:1], shape[1:]))


NUMBERS = np.random.default_rng(1).integers(0, 1 << 60, 9000)
WRITERS: dict[str, Callable[[Path], Any]] = {
    "Python": lambda path: path.write_text("x" * 9000),
    "a copy": lambda path: shutil.copyfile(__file__, path),
    "polars": lambda path: pl.DataFrame({"x": NUMBERS}).write_parquet(path),
    "safetensors": lambda path: save_file({"x": NUMBERS}, path),
    "tokenizers": lambda path: Tokenizer(
        models.WordLevel({f"a{i}": i for i in range(2000)}, unk_token="a0")
    ).save(str(path)),
    "onnx": lambda path: onnx.save(_graph(), str(path)),
    "numpy": lambda path: np.save(path, NUMBERS),
    "torch": _torch,
    "sqlite": _sqlite,
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB, for root."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, left: int) -> None:
    """Leave so many KiB of a disk."""
    free = shutil.disk_usage(disk).free
    (disk / "fill").write_bytes(b"x" * (free - 1024 * left))


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_may_get_no_larger(tmp_path: Path, writer: str) -> None:
    """Whatever the library makes of it: most have an error of their own."""
    with largest_file(500), pytest.raises(Exception) as caught:
        WRITERS[writer](tmp_path / "x")
    explained = faults.explained(caught.value, (tmp_path,), AGAIN)
    if writer == "torch":  # which does not say why it could not write
        assert explained is None
    else:
        assert explained is not None
        assert LARGER in explained.found or writer in ("numpy", "sqlite")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(disk: Path, writer: str) -> None:
    """torch does not say why it could not write: the disk tells."""
    fill(disk, 4)
    with pytest.raises(Exception) as caught:
        WRITERS[writer](disk / "x")
    explained = faults.explained(caught.value, (disk,), AGAIN)
    assert explained is not None and "no space is left on its disk" in explained.found
    assert str(disk) in explained.place and explained.remedy.endswith(AGAIN)


@pytest.mark.parametrize("number", faults.FAULTS, ids=lambda number: errno.errorcode[number])
def test_each_fault_has_words_of_its_own(number: int) -> None:
    """With the file, and what helps; under other errors too, except where those are a remote's."""
    error = OSError(number, os.strerror(number), "data/x")
    explained = faults.explained(error, (Path("data"),), AGAIN)
    assert explained is not None and explained.place == "data/x"
    assert explained.remedy == f"{faults.FAULTS[number].remedy}; then {AGAIN}"
    wrapped = LmspecError("https://x", "it cannot be read", "check the address")
    wrapped.__cause__ = error
    assert (faults.explained(wrapped, (), AGAIN) is None) == (number in faults.IF_LAST)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes differ"),
        RuntimeError("size mismatch"),
        FileNotFoundError(errno.ENOENT, "gone", "x"),
        PermissionError(errno.EACCES, "a stage other than sources may not reach the network"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        LmspecError("a", "no space left on device", "c"),
    ],
    ids=repr,
)
def test_another_error_is_not_explained(tmp_path: Path, error: Exception) -> None:
    """On a disk with room: a stage's own fault keeps its traceback."""
    assert faults.explained(error, (tmp_path,), AGAIN) is None


def test_what_was_built_before_is_whole_after_each_fault(tmp_path: Path) -> None:
    """Of a stage: wherever it meets the limit, in the child or in the supervisor, in the output or,
    when that is complete, in the provenance. One message, no traceback, nothing left behind."""
    project = onesource.make(tmp_path)
    miniature.run(project, *onesource.STAGE)
    before = miniature.fingerprints(project)
    (project / "raw/a.txt").write_text("y" * 600)
    onesource.declare(project)
    for limit, size, found in (
        (resource.RLIMIT_FSIZE, 0, LARGER),
        (resource.RLIMIT_FSIZE, 500, LARGER),
        (resource.RLIMIT_FSIZE, 700, LARGER),
        (resource.RLIMIT_NOFILE, 6, "too many files are open"),
    ):
        output = limited(project, limit, size)
        assert found in output and output.count("lmspec: ") == 1, output
        assert "Traceback" not in output and "what was built before is whole" in output
        assert miniature.fingerprints(project) == before
        assert not any((project / "data").rglob("*partial*"))
    miniature.run(project, *onesource.STAGE)
    assert (project / "data/sources/new/a.txt").read_text() == "y" * 600


def limited(project: Path, limit: int, size: int) -> str:
    """What a stage prints that fails under a limit."""
    run = subprocess.run(
        onesource.STAGE,
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(limit, (size, size)),
    )
    assert run.returncode == 1, run.stderr
    return run.stdout + run.stderr


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The former one stays, its link too; nothing is left beside it. `write_text` is the control:
    it leaves a part."""
    path, link = tmp_path / "x", tmp_path / "link"
    path.write_text("before")
    link.symlink_to("x")
    with largest_file(500), pytest.raises(OSError, match="link") as caught:
        folders.write(link, "x" * 900)
    assert caught.value.errno == errno.EFBIG and path.read_text() == "before"
    assert sorted(tmp_path.iterdir()) == [link, path]
    folders.write(link, "after")
    assert path.read_text() == "after" and link.is_symlink()
    with largest_file(500), pytest.raises(OSError, match="File too large"):
        path.write_text("x" * 900)
    assert path.read_text() != "after"


def test_a_command_keeps_the_file_that_it_cannot_replace(tmp_path: Path) -> None:
    """A report, and dvc.yaml; one message with the file's name."""
    project = history.make(tmp_path / "project")
    project.write("report.json", "before")
    with largest_file(500):
        found = project.run("diff", "--format", "json", "--output", "report.json")
    assert found.exit_code == 2 and project.text("report.json") == "before"
    assert LARGER in found.stderr and "report.json" in found.stderr
    assert found.stderr.count("lmspec: ") == 1


def test_standard_output_that_is_full_is_one_message(tmp_path: Path) -> None:
    """Of a command."""
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "lmspec", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1 and run.stderr.startswith("lmspec: output: no space is left")
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_dvc_on_a_full_disk(disk: Path) -> None:
    """The stage says what helps; DVC's own files that are cut short are named by `lmspec plan`; and
    then all is built as if nothing had been."""
    project = onesource.make(disk)
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q", "-f"]):
        miniature.run(project, *command)
    miniature.dvc(project, "repro")
    (project / "raw/a.txt").write_text("y" * 9000)
    onesource.declare(project)
    fill(disk, 8)
    output = miniature.dvc(project, "repro", code=255)
    (disk / "fill").unlink()
    assert "no space" in output.lower() and "Traceback" not in output
    for name in (".dvc/tmp/rwlock", "dvc.lock"):
        whole = (project / name).read_text() if (project / name).exists() else ""
        (project / name).write_text("")
        plan = miniature.lmspec(project, "plan", code=1)
        assert f"{name}: it is cut short" in plan and "the disk was full" in plan
        (project / name).write_text(whole) if whole else (project / name).unlink()
    miniature.dvc(project, "repro")
    assert (project / "data/sources/new/a.txt").read_text() == "y" * 9000
