"""dvc: what changed since a stage's last run, and what the cache can restore, by DVC's own code.

DVC promises none of this API: tests/test_plan_exact.py holds it to what `dvc repro` does.
"""

import contextlib
import copy
import functools
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency, param  # type: ignore[import-untyped]
from dvc.exceptions import DvcException, PrettyDvcException  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.repo import Repo, lock_repo  # type: ignore[import-untyped]
from dvc.repo.reproduce import (  # type: ignore[import-untyped]
    collect_stages,
    get_active_graph,
    plan_repro,
)
from dvc.rwlock import RWLockFileCorruptedError, rwlock  # type: ignore[import-untyped]
from dvc.stage.serialize import to_single_stage_lockfile  # type: ignore[import-untyped]
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.pipeline import run_cache
from lmspec.pipeline.run_cache import RunCache

RWLOCK = ".dvc/tmp/rwlock"
COMMAND, OUTPUT, FILE, VALUE = "command", "output", "file", "value"


@dataclass(frozen=True)
class Change:
    """One difference between a stage and its last run.

    kind      COMMAND, OUTPUT, FILE (or folder that it reads) or VALUE (of a parameter)
    path      the output or file; for a value the file that holds the parameter
    state     in DVC's words: modified, deleted, new, not in cache, changed command ...
    name      of the parameter
    old, new  the parameter's value at the last run and now; for a file `old` is its MD5 then
    """

    kind: str
    path: str
    state: str
    name: str = ""
    old: Any = None
    new: Any = None


@dataclass(frozen=True)
class Arrival:
    """What will be in an output's place once an out-of-date stage has had its turn.

    stage   whose output it is
    output  as the cache restores it; None if the stage has to run first
    """

    stage: str
    output: Any = None

    def hash(self, path: str) -> Any:
        """Of the output or a path inside it; empty if nothing will be there."""
        if path == self.output.fs_path:
            return self.output.hash_info
        inside = self.output.get_obj(filter_info=path)
        return inside.hash_info if inside else HashInfo()

    def meta(self, path: str) -> Any:
        """What DVC records of the path beside its hash; inside a folder nothing."""
        return self.output.meta if path == self.output.fs_path else Meta()


class Stage:
    """A stage of dvc.yaml beside its last run.

    coming  absolute path -> what will be there, for outputs of earlier stages that are out of date
    """

    def __init__(
        self, stage: Any, cache: RunCache, coming: Mapping[str, Arrival] | None = None
    ) -> None:
        self._stage, self._cache = stage, cache
        self._arrivals = {} if stage.frozen else _arrivals(stage, coming or {})
        self.name: str = stage.name
        self.ran = stage.cmd_changed or any(item.hash_info for item in (*stage.deps, *stage.outs))

    @property
    def code(self) -> list[str]:
        """The code files among its inputs."""
        return [dep.def_path for dep in self._stage.deps if dep.def_path.endswith(".py")]

    def after(self, coming: Mapping[str, Arrival]) -> "Stage":
        """The same stage when its turn comes."""
        return Stage(self._stage, self._cache, coming)

    @functools.cached_property
    def changes(self) -> list[Change]:
        """How it differs from its last run, as far as its inputs are known."""
        changes: list[Change] = []
        for dep in () if self._stage.frozen else self._stage.deps:
            arrival = self._arrivals.get(dep.def_path)
            if arrival is None:
                changes += _changes_now(dep)
            elif arrival.output and arrival.hash(dep.fs_path) != dep.hash_info:
                state = f"changed by {arrival.stage}"
                changes.append(Change(FILE, dep.def_path, state, old=dep.hash_info.value))
        for out in self._stage.outs:
            changes += [Change(OUTPUT, out.def_path, state) for state in out.status().values()]
        if self._stage.is_callback or self._stage.always_changed:
            changes.append(Change(COMMAND, "", "always changed"))
        if self._stage.cmd_changed:
            changes.append(Change(COMMAND, "", "changed command"))
        return changes

    @property
    def waits(self) -> list[str]:
        """The earlier stages that have to run before its inputs are known."""
        unknown = (arrival.stage for arrival in self._arrivals.values() if not arrival.output)
        return list(dict.fromkeys(unknown))

    def restored(self) -> dict[str, Arrival] | None:
        """What `dvc repro` restores from the cache instead of running the stage; None if it runs.

        For a stage that has changes and waits for nothing.
        """
        if not self._cacheable():
            return None
        if self._unchanged():
            return self._in_cache(to_single_stage_lockfile(self._stage))
        inputs = self._inputs()
        entry = self._cache.entry(run_cache.key(inputs)) if inputs else None
        return self._in_cache(entry) if entry else None

    def might_be_restored(self) -> bool:
        """Does the cache have its result for some value of the unknown inputs? If not, it runs."""
        if not self._cacheable():
            return False
        if self._unchanged() and self._in_cache(to_single_stage_lockfile(self._stage)):
            return True
        inputs = self._inputs()
        if inputs is None:
            return False
        unknown = {path for path, arrival in self._arrivals.items() if not arrival.output}
        for key, entry in self._cache.of_command(self._stage.cmd):
            theirs = {dep["path"]: dep for dep in entry.get("deps", ()) if dep["path"] in unknown}
            guess = inputs | {"deps": [theirs.get(dep["path"], dep) for dep in inputs["deps"]]}
            if run_cache.key(guess) == key and self._in_cache(entry):
                return True
        return False

    def unknown(self) -> dict[str, Arrival]:
        """Its outputs as later stages see them if it runs, or may."""
        return {out.fs_path: Arrival(self.name) for out in self._stage.outs}

    def _cacheable(self) -> bool:
        """Does DVC look for its result in the run-cache? As `_can_hash` in dvc/stage/cache.py."""
        stage = self._stage
        if stage.is_callback or stage.always_changed or stage.frozen:
            return False
        return bool(
            stage.cmd
            and stage.deps
            and stage.outs
            and all(i.protocol == "local" and i.def_path for i in (*stage.deps, *stage.outs))
            and all(out.is_in_repo and not out.persist for out in stage.outs)
        )

    def _unchanged(self) -> bool:
        """Are all known inputs as at its last run? Then DVC looks for that run's outputs alone."""
        return all(change.kind == OUTPUT for change in self.changes) and all(
            out.hash_info for out in self._stage.outs
        )

    def _inputs(self) -> dict[str, Any] | None:
        """What DVC will record before it runs the stage; None if an input is missing.

        An input that is not known yet stands in it as at the last run.
        """
        stage = copy.copy(self._stage)
        stage.deps = []
        for dep in map(copy.copy, self._stage.deps):
            arrival = self._arrivals.get(dep.def_path)
            if arrival and arrival.output:
                dep.hash_info, dep.meta = arrival.hash(dep.fs_path), arrival.meta(dep.fs_path)
                dep.files = None
            elif arrival is None:
                try:
                    dep.save()
                except (DvcException, FileNotFoundError):
                    return None
            stage.deps.append(dep)
        inputs: dict[str, Any] = to_single_stage_lockfile(stage)
        return inputs

    def _in_cache(self, entry: dict[str, Any]) -> dict[str, Arrival] | None:
        """The outputs of a run if the cache has every one, metrics included."""
        stage = self._stage.repo.stage_cache._create_stage(entry, wdir=self._stage.wdir)
        if not stage.outs_cached():
            return None
        return {out.fs_path: Arrival(self.name, out) for out in stage.outs}


@contextlib.contextmanager
def stages(root: Path, targets: Sequence[str] = ()) -> Iterator[list[Stage]]:
    """The stages of `dvc repro`, in its order. Holds DVC's locks, so that no build changes them."""
    with _repo(root) as repo, lock_repo(repo):
        graph = get_active_graph(repo.index.graph)
        order = plan_repro(graph, collect_stages(repo, targets or ["dvc.yaml"]))
        listed = [stage for stage in order if stage.cmd]
        paths = [item.fs_path for stage in listed for item in (*stage.deps, *stage.outs)]
        hardlink = repo.config["core"].get("hardlink_lock", False)
        with rwlock(repo.tmp_dir, repo.fs, "lmspec plan", paths, [], hardlink), _parsed_once():
            cache = RunCache(Path(repo.stage_cache.cache_dir))
            yield [Stage(stage, cache) for stage in listed]


def commit(root: Path, stages: Sequence[str]) -> None:
    """`dvc commit`: record the stages' outputs as the result of their present inputs."""
    with _repo(root) as repo:
        for stage in stages:
            repo.commit(stage, force=True)


@contextlib.contextmanager
def _repo(root: Path) -> Iterator[Any]:
    """The project as DVC sees it. Waits for DVC's lock; raises DVC's errors as LmspecError."""
    try:
        with contextlib.chdir(root), Repo(".", _wait_for_lock=True) as repo:
            yield repo
    except LockError as error:
        raise LmspecError("dvc", str(error), "a build is running: wait for it to end") from None
    except RWLockFileCorruptedError:
        raise LmspecError(
            RWLOCK,
            "it is cut short: DVC was killed while it wrote it",
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
        raise LmspecError(
            lockfile.NAME, "it is cut short: DVC was killed while it wrote it", remedy
        )


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


def _arrivals(stage: Any, coming: Mapping[str, Arrival]) -> dict[str, Arrival]:
    """The inputs that will be replaced before the stage runs: path as in dvc.yaml -> by what."""
    arrivals = {}
    for dep in stage.deps:
        for path, arrival in coming.items():
            inside = f"{dep.fs_path}{os.sep}".startswith(f"{path}{os.sep}")
            if inside and not isinstance(dep, ParamsDependency):
                arrivals[dep.def_path] = arrival
            elif inside or path.startswith(f"{dep.fs_path}{os.sep}"):
                arrivals[dep.def_path] = Arrival(arrival.stage)
    return arrivals


def _changes_now(dep: Any) -> Iterator[Change]:
    """How an input differs from what the last run read."""
    for state in dep.status().values():
        if not isinstance(state, dict):
            # DVC also says "modified" of a file that the last run did not read
            state = "new" if state == "modified" and not dep.hash_info else state
            yield Change(FILE, dep.def_path, state, old=dep.hash_info.value)
            continue
        then, now = dep.hash_info.value or {}, dep.read_params()
        for name, what in state.items():
            yield Change(VALUE, dep.def_path, what, name, then.get(name), now.get(name))
