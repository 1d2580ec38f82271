"""conftest: the miniature project, built once for all tests that look at it, in however many
processes they run."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from lmspec.run import determinism, recorder
from tests import miniature

# Processes of pytest-xdist share the processors: threads of OpenMP that wait for work would keep
# the others from theirs. Stages set both for themselves (run/determinism.py).
os.environ |= {"OMP_NUM_THREADS": "1", determinism.SPINS: determinism.SPINS_LOADED}
# a build of a test starts no process for TensorBoard, where that is installed
os.environ[recorder.VARIABLE] = recorder.OFF


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test that needs the miniature first, the others last: what is built for one process keeps
    no other one waiting."""
    needing = [item for item in items if "built" in getattr(item, "fixturenames", ())]
    others = [item for item in items if item not in needing]
    items[:] = [*needing[:1], *others, *needing[1:]]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature project, built by `dvc repro` and committed. Tests leave it as they found it, or
    copy it.

    Each process of pytest-xdist has a copy of its own; the first that needs one builds for all.
    """
    base = tmp_path_factory.getbasetemp()
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = (base if alone else base.parent) / "built"
    with (shared.parent / "built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / ".git").exists():
            _build(shared)
    if alone:
        return shared
    return Path(
        shutil.copytree(shared, tmp_path_factory.mktemp("miniature") / "project", symlinks=True)
    )


def _build(folder: Path) -> None:
    """Build into a folder that gets its name only when it is complete."""
    partial = folder.with_name("built.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    miniature.make(partial)
    miniature.dvc(partial, "repro")
    miniature.run(partial, "git", "add", "-A")
    miniature.run(partial, "git", "commit", "-q", "-m", "built")
    partial.rename(folder)
