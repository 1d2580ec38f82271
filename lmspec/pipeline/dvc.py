"""dvc: the stages of a project as DVC has them, under its locks; DVC's errors as lmspec's."""

import contextlib
import functools
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dvc.dependency import param  # type: ignore[import-untyped]
from dvc.exceptions import DvcException, PrettyDvcException  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.repo import Repo, lock_repo  # type: ignore[import-untyped]
from dvc.repo.reproduce import (  # type: ignore[import-untyped]
    collect_stages,
    get_active_graph,
    plan_repro,
)
from dvc.rwlock import RWLockFileCorruptedError, rwlock  # type: ignore[import-untyped]

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.pipeline import subprocesses
from lmspec.pipeline.dvc_stage import Stage
from lmspec.pipeline.run_cache import RunCache

RWLOCK = ".dvc/tmp/rwlock"
CUT_SHORT = "it is cut short: DVC was killed, or the disk was full, while it wrote it"


@contextlib.contextmanager
def stages(root: Path, targets: Sequence[str] = ()) -> Iterator[list[Stage]]:
    """The stages of `dvc repro`, in its order. Holds DVC's locks, so that no build changes them."""
    with _repo(root) as repo, lock_repo(repo):
        cache = RunCache(Path(repo.stage_cache.cache_dir))
        cache.remove_empty()
        graph = get_active_graph(repo.index.graph)
        order = plan_repro(graph, collect_stages(repo, targets or ["dvc.yaml"]))
        listed = [stage for stage in order if stage.cmd]
        paths = [item.fs_path for stage in listed for item in (*stage.deps, *stage.outs)]
        hardlink = repo.config["core"].get("hardlink_lock", False)
        with rwlock(repo.tmp_dir, repo.fs, "lmspec plan", paths, [], hardlink), _parsed_once():
            yield [Stage(stage, cache) for stage in listed]


def commit(root: Path, stages: Sequence[str]) -> None:
    """`dvc commit`: record the stages' outputs as the result of their present inputs."""
    with _repo(root) as repo:
        for stage in stages:
            repo.commit(stage, force=True)


def caches(root: Path) -> tuple[Path, Path]:
    """The folders of DVC's cache: its objects by MD5, and its run-cache."""
    with _repo(root) as repo:
        return Path(repo.cache.local.path), Path(repo.stage_cache.cache_dir)


@contextlib.contextmanager
def _repo(root: Path) -> Iterator[Any]:
    """The project as DVC sees it. Waits for DVC's lock; raises DVC's errors as LmspecError."""
    os.environ.update(subprocesses.user())
    try:
        with contextlib.chdir(root), Repo(".", _wait_for_lock=True) as repo:
            yield repo
    except LockError as error:
        raise LmspecError("dvc", str(error), "a build is running: wait for it to end") from None
    except RWLockFileCorruptedError:
        raise LmspecError(
            RWLOCK,
            CUT_SHORT,
            "if no build is running, remove it: it only says who reads and writes what",
        ) from None
    except (DvcException, NotImplementedError) as error:
        # NotImplementedError: dvc.lock has an entry without a hash
        if lockfile.NAME in str(error) or not isinstance(error, DvcException):
            require_whole_lock(root)
        if not isinstance(error, DvcException):
            raise
        remedy = (
            "run `lmspec sync` if dvc.yaml is at fault; "
            "if dvc.lock has conflict markers, take one side, then `dvc repro`"
        )
        raise LmspecError("dvc", _message(error), remedy) from None


def require_whole_lock(root: Path) -> None:
    """Raises LmspecError if DVC was killed while it wrote dvc.lock."""
    path = root / lockfile.NAME
    if path.exists() and not lockfile.is_whole(path.read_text(encoding="utf-8", errors="replace")):
        remedy = (
            "`git checkout dvc.lock`, or remove it if git has none; "
            "then `dvc repro` restores what was built from its cache"
        )
        raise LmspecError(lockfile.NAME, CUT_SHORT, remedy)


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """DVC parses params.yaml three times for each stage; here once."""
    load = param.load_path
    param.load_path = functools.cache(load)
    try:
        yield
    finally:
        param.load_path = load


def _message(error: DvcException) -> str:
    """What DVC's command line prints for an error: for a broken file with the place."""
    text = io.StringIO()
    if isinstance(error, PrettyDvcException):
        with contextlib.redirect_stderr(text), contextlib.suppress(ValueError):
            error.__pretty_exc__()
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines()) or str(error)
