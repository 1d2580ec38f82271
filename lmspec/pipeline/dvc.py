"""dvc: all that lmspec asks of DVC's own Python: what changed since each stage's last run, what its cache can give back.

DVC does not promise to keep any of it: tests/test_plan_exact.py holds it to what `dvc repro` does.
"""

import contextlib
import copy
import functools
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency, param  # type: ignore[import-untyped]
from dvc.exceptions import DvcException, PrettyDvcException  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.repo import Repo, lock_repo  # type: ignore[import-untyped]
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro  # type: ignore[import-untyped]
from dvc.rwlock import RWLockFileCorruptedError, rwlock  # type: ignore[import-untyped]
from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA  # type: ignore[import-untyped]
from dvc.stage.cache import _get_cache_hash  # type: ignore[import-untyped]
from dvc.stage.serialize import to_single_stage_lockfile  # type: ignore[import-untyped]
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml  # type: ignore[import-untyped]
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from voluptuous import Invalid

from lmspec.errors import LmspecError
from lmspec.formats import lockfile

RWLOCK = ".dvc/tmp/rwlock"
COMMAND, OUTPUT, FILE, VALUE = "command", "output", "file", "value"


@dataclass(frozen=True)
class Change:
    """One way in which a stage is not what it was at its last run.

    kind   COMMAND, OUTPUT, FILE (or folder that it reads), VALUE (of a parameter)
    path   the output or file; the file in which the parameter stands
    state  DVC's word for it: modified, deleted, new, not in cache, changed command ...
    name   of the parameter
    old    the value, or the MD5 of the file, at the last run; new: the value now
    """

    kind: str
    path: str
    state: str
    name: str = ""
    old: Any = None
    new: Any = None


@dataclass(frozen=True)
class Arrival:
    """What will lie in an output's place if its stage is not up to date: what the cache gives back, or nobody knows yet.

    stage   whose output it is
    output  as the cache gives it back; None if only a run tells
    """

    stage: str
    output: Any = None

    def hash(self, path: str) -> Any:
        """Of a path, the output's own or one inside of it. Empty if nothing will be there."""
        if path == self.output.fs_path:
            return self.output.hash_info
        inside = self.output.get_obj(filter_info=path)
        return inside.hash_info if inside else HashInfo()

    def meta(self, path: str) -> Any:
        """Of the same path: all that DVC records of it beside the hash. In a folder it knows of no executables."""
        return self.output.meta if path == self.output.fs_path else Meta()


class Stage:
    """A stage as dvc.yaml has it now, beside its last run.

    coming  absolute path -> what will lie there, of the outputs of stages before it that are not up to date
    """

    def __init__(
        self, stage: Any, remembered: "RunCache", coming: Mapping[str, Arrival] | None = None
    ) -> None:
        self._stage, self._remembered = stage, remembered
        self._arrivals = {} if stage.frozen else _arrivals(stage, coming or {})
        self.name: str = stage.name
        self.ran = stage.cmd_changed or any(item.hash_info for item in (*stage.deps, *stage.outs))

    def after(self, coming: Mapping[str, Arrival]) -> "Stage":
        """The same stage when its turn comes."""
        return Stage(self._stage, self._remembered, coming)

    @functools.cached_property
    def changes(self) -> list[Change]:
        """How it differs from its last run; what it reads and nobody knows yet is left out."""
        found: list[Change] = []
        for dep in () if self._stage.frozen else self._stage.deps:
            arrival = self._arrivals.get(dep.def_path)
            if arrival is None:
                found += _changes_now(dep)
            elif arrival.output and arrival.hash(dep.fs_path) != dep.hash_info:
                found.append(
                    Change(
                        FILE,
                        dep.def_path,
                        f"comes out of {arrival.stage} otherwise",
                        old=dep.hash_info.value,
                    )
                )
        for out in self._stage.outs:
            found += [Change(OUTPUT, out.def_path, state) for state in out.status().values()]
        if self._stage.is_callback or self._stage.always_changed:
            found.append(Change(COMMAND, "", "always changed"))
        if self._stage.cmd_changed:
            found.append(Change(COMMAND, "", "changed command"))
        return found

    @property
    def waits(self) -> list[str]:
        """The stages before it of which only a run tells what this one will read."""
        return list(
            dict.fromkeys(
                arrival.stage for arrival in self._arrivals.values() if not arrival.output
            )
        )

    def restored(self) -> dict[str, Arrival] | None:
        """What `dvc repro` takes from the cache instead of running the stage; None if it runs it.

        For a stage that has changes and waits for nothing.
        """
        if not self._cacheable():
            return None
        if self._as_then():
            return self._in_cache(to_single_stage_lockfile(self._stage))
        start = self._start()
        entry = self._remembered.entry(_key(start)) if start else None
        return self._in_cache(entry) if entry else None

    def might_be_restored(self) -> bool:
        """Can what it waits for come out so that the cache has its result? If not, it runs, whatever comes out."""
        if not self._cacheable():
            return False
        if self._as_then() and self._in_cache(to_single_stage_lockfile(self._stage)):
            return True
        start = self._start()
        if start is None:
            return False
        unknown = {path for path, arrival in self._arrivals.items() if not arrival.output}
        for key, entry in self._remembered.of_command(self._stage.cmd):
            theirs = {dep["path"]: dep for dep in entry.get("deps", ()) if dep["path"] in unknown}
            guess = start | {"deps": [theirs.get(dep["path"], dep) for dep in start["deps"]]}
            if _key(guess) == key and self._in_cache(entry):
                return True
        return False

    def unknown(self) -> dict[str, Arrival]:
        """Its outputs, as they count for the stages behind it if it runs, or if that is open."""
        return {out.fs_path: Arrival(self.name) for out in self._stage.outs}

    def _cacheable(self) -> bool:
        """Does DVC look for its results in the cache at all? As `_can_hash` of dvc/stage/cache.py."""
        stage = self._stage
        if (
            stage.is_callback
            or stage.always_changed
            or stage.frozen
            or not (stage.cmd and stage.deps and stage.outs)
        ):
            return False
        local = all(
            item.protocol == "local" and item.def_path for item in (*stage.deps, *stage.outs)
        )
        return local and all(out.is_in_repo and not out.persist for out in stage.outs)

    def _as_then(self) -> bool:
        """Is all that is known of its start as at its last run? DVC looks for that run's outputs then, and for no other's."""
        return all(change.kind == OUTPUT for change in self.changes) and all(
            out.hash_info for out in self._stage.outs
        )

    def _start(self) -> dict[str, Any] | None:
        """What DVC will record of it before it runs; None if something is missing, where `dvc repro` will stop.

        An input that nobody knows yet stands in it as at the last run.
        """
        stage = copy.copy(self._stage)
        stage.deps = []
        for dep in map(copy.copy, self._stage.deps):
            arrival = self._arrivals.get(dep.def_path)
            if arrival and arrival.output:
                dep.hash_info, dep.meta, dep.files = (
                    arrival.hash(dep.fs_path),
                    arrival.meta(dep.fs_path),
                    None,
                )
            elif arrival is None:
                try:
                    dep.save()
                except (DvcException, FileNotFoundError):
                    return None
            stage.deps.append(dep)
        start: dict[str, Any] = to_single_stage_lockfile(stage)
        return start

    def _in_cache(self, entry: dict[str, Any]) -> dict[str, Arrival] | None:
        """The outputs of a run, if the cache holds every one, metrics included."""
        stage = self._stage.repo.stage_cache._create_stage(entry, wdir=self._stage.wdir)
        return (
            {out.fs_path: Arrival(self.name, out) for out in stage.outs}
            if stage.outs_cached()
            else None
        )


class RunCache:
    """The runs that DVC remembers: key of a start -> what it gave. Where one start gave several results, the newest counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entry(self, key: str, command: Any = None) -> dict[str, Any] | None:
        """The run of that key; None if there is none, it cannot be read, or it is of another command than is asked for."""
        folder = self._folder / key[:2] / key
        newest = (
            max(folder.iterdir(), key=lambda path: path.stat().st_mtime, default=None)
            if folder.exists()
            else None
        )
        if newest is None or (
            _stands_as_it_is(command) and command.encode() not in newest.read_bytes()
        ):
            return None  # to look for a command costs a hundredth of reading YAML
        try:
            entry: dict[str, Any] = COMPILED_LOCK_FILE_STAGE_SCHEMA(load_yaml(str(newest)))
        except (YAMLFileCorruptedError, Invalid):
            return None
        return entry if command in (None, entry["cmd"]) else None

    def of_command(self, command: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, run) of each run of that command."""
        for folder in self._folder.glob("??/*"):
            if entry := self.entry(folder.name, command):
                yield folder.name, entry


def _stands_as_it_is(command: Any) -> bool:
    """In YAML: on one line, with nothing that is quoted."""
    return (
        isinstance(command, str) and re.fullmatch(r"[\w ./=-]{1,70}", command, re.ASCII) is not None
    )


@contextlib.contextmanager
def stages(root: Path, targets: Sequence[str] = ()) -> Iterator[list[Stage]]:
    """The stages that `dvc repro` looks at, in its order. No build writes what they read or make while the block lasts."""
    with _repo(root) as repo, lock_repo(repo):
        graph = get_active_graph(repo.index.graph)
        found = [
            stage
            for stage in plan_repro(graph, collect_stages(repo, targets or ["dvc.yaml"]))
            if stage.cmd
        ]
        paths = [item.fs_path for stage in found for item in (*stage.deps, *stage.outs)]
        hardlink = repo.config["core"].get("hardlink_lock", False)
        with rwlock(repo.tmp_dir, repo.fs, "lmspec plan", paths, [], hardlink), _parsed_once():
            remembered = RunCache(Path(repo.stage_cache.cache_dir))
            yield [Stage(stage, remembered) for stage in found]


def status(root: Path) -> dict[str, list[Any]]:
    """`dvc status --json`: stage -> what changed since its last run; stages that are up to date are not in it."""
    with _repo(root) as repo:
        changed: dict[str, list[Any]] = repo.status()
    return changed


def commit(root: Path, stages: Sequence[str]) -> None:
    """`dvc commit`: record that the outputs of those stages are what their inputs, as they are now, give."""
    with _repo(root) as repo:
        for stage in stages:
            repo.commit(stage, force=True)


@contextlib.contextmanager
def _repo(root: Path) -> Iterator[Any]:
    """The project as DVC sees it from its root. Waits for its lock, as `--wait-for-lock` does; DVC's errors become ours."""
    try:
        with contextlib.chdir(root), Repo(".", _wait_for_lock=True) as repo:
            yield repo
    except LockError as error:
        raise LmspecError("dvc", str(error), "a build is under way: wait for its end") from None
    except RWLockFileCorruptedError:
        found = "it is cut short: DVC was killed while it wrote it"
        raise LmspecError(
            RWLOCK,
            found,
            "if no build is under way, remove it: it says only who reads and writes what",
        ) from None
    except (
        DvcException,
        NotImplementedError,
    ) as error:  # the latter for an entry of dvc.lock without a hash
        if lockfile.NAME in str(error) or not isinstance(error, DvcException):
            require_whole_lock(root)
        if not isinstance(error, DvcException):
            raise
        remedy = "run `lmspec sync` if dvc.yaml is at fault; if dvc.lock has conflict markers, take one side, then `dvc repro`"
        raise LmspecError("dvc", _said(error), remedy) from None


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


def _said(error: DvcException) -> str:
    """What DVC's command line says of an error: of a broken file also the place."""
    text = io.StringIO()
    if isinstance(error, PrettyDvcException):
        with contextlib.redirect_stderr(text), contextlib.suppress(ValueError):
            error.__pretty_exc__()
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines()) or str(error)


def _arrivals(stage: Any, coming: Mapping[str, Arrival]) -> dict[str, Arrival]:
    """What a stage reads that will not be what lies there now: path as dvc.yaml writes it -> what will be there."""
    found = {}
    for dep in stage.deps:
        for path, arrival in coming.items():
            if f"{dep.fs_path}{os.sep}".startswith(f"{path}{os.sep}"):
                found[dep.def_path] = (
                    Arrival(arrival.stage) if isinstance(dep, ParamsDependency) else arrival
                )
            elif path.startswith(f"{dep.fs_path}{os.sep}"):
                found[dep.def_path] = Arrival(arrival.stage)
    return found


def _key(start: dict[str, Any]) -> str:
    """What DVC's run-cache files a run under."""
    key: str = _get_cache_hash(dict(start), key=True)
    return key


def _changes_now(dep: Any) -> Iterator[Change]:
    """How what lies there now differs from what was read at the last run."""
    for state in dep.status().values():
        if not isinstance(state, dict):
            # DVC calls a file modified that was none of the stage's at its last run
            state = "new" if state == "modified" and not dep.hash_info else state
            yield Change(FILE, dep.def_path, state, old=dep.hash_info.value)
            continue
        then, now = dep.hash_info.value or {}, dep.read_params()
        for name, what in state.items():
            yield Change(VALUE, dep.def_path, what, name, then.get(name), now.get(name))
