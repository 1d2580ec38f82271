"""dvc_stage: one stage beside its last run: what changed, and what the cache can restore.

DVC promises none of this API: tests/test_plan_exact.py holds it to what `dvc repro` does.
"""

import copy
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency  # type: ignore[import-untyped]
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.stage.serialize import to_single_stage_lockfile  # type: ignore[import-untyped]
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta

from lmspec.language import uses
from lmspec.pipeline import run_cache
from lmspec.pipeline.run_cache import Entry, RunCache
from lmspec.run import declaration
from lmspec.run.declaration import PARAMS

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


Arrivals = Mapping[str, Arrival]


class Stage:
    """A stage of dvc.yaml beside its last run.

    coming  absolute path -> what will be there, for outputs of earlier stages that are out of date
    """

    def __init__(self, stage: Any, cache: RunCache, coming: Arrivals | None = None) -> None:
        self._stage, self._cache = stage, cache
        self._arrivals = {} if stage.frozen else _arrivals(stage, coming or {})
        self.name: str = stage.name
        self.ran = stage.cmd_changed or any(item.hash_info for item in (*stage.deps, *stage.outs))

    @property
    def code(self) -> list[str]:
        """The code files among its inputs."""
        return [dep.def_path for dep in self._stage.deps if dep.def_path.endswith(".py")]

    def after(self, coming: Arrivals) -> "Stage":
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
    def resized(self) -> list[tuple[str, int, int]]:
        """(path, bytes at the last run, bytes here) of outputs whose size changed.

        DVC overlooks this if an object in its cache is damaged: it takes the name for the hash.
        """
        sizes = [(out, out.meta.size, _size(Path(out.fs_path))) for out in self._stage.outs]
        return [(out.def_path, then, here) for out, then, here in sizes if then not in (None, here)]

    @property
    def waits(self) -> list[str]:
        """The earlier stages that have to run before its inputs are known."""
        unknown = (arrival.stage for arrival in self._arrivals.values() if not arrival.output)
        return list(dict.fromkeys(unknown))

    def restored(self) -> Arrivals | None:
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

    def unknown(self) -> Arrivals:
        """Its outputs as later stages see them if it runs, or may."""
        return {out.fs_path: Arrival(self.name) for out in self._stage.outs}

    def _cacheable(self) -> bool:
        """Does DVC look for its result in the run-cache? As `_can_hash` in dvc/stage/cache.py."""
        stage = self._stage
        return bool(
            stage.cmd
            and stage.deps
            and stage.outs
            and not (stage.is_callback or stage.always_changed or stage.frozen)
            and all(i.protocol == "local" and i.def_path for i in (*stage.deps, *stage.outs))
            and all(out.is_in_repo and not out.persist for out in stage.outs)
        )

    def _unchanged(self) -> bool:
        """Are all known inputs as at its last run? Then DVC looks for that run's outputs alone."""
        return all(change.kind == OUTPUT for change in self.changes) and all(
            out.hash_info for out in self._stage.outs
        )

    def _inputs(self) -> Entry | None:
        """What DVC will record before it runs the stage; None if an input is missing.

        An input that is not known yet has its value of the last run.
        """
        stage = copy.copy(self._stage)
        stage.deps = []
        for dep in map(copy.copy, self._stage.deps):
            arrival = self._arrivals.get(dep.def_path)
            if arrival and arrival.output:
                dep.hash_info, dep.meta = arrival.hash(dep.fs_path), arrival.meta(dep.fs_path)
                # of an input that the last run did not read DVC assumes the hash of its version 2
                dep.hash_name = arrival.output.hash_name
                dep.files = None
            elif arrival is None:
                try:
                    dep.save()
                except (DvcException, FileNotFoundError):
                    return None
            stage.deps.append(dep)
        inputs: Entry = to_single_stage_lockfile(stage)
        return inputs

    def _in_cache(self, entry: Entry) -> Arrivals | None:
        """The outputs of a run if the cache has every one, metrics included."""
        stage = self._stage.repo.stage_cache._create_stage(entry, wdir=self._stage.wdir)
        if not stage.outs_cached():
            return None
        return {out.fs_path: Arrival(self.name, out) for out in stage.outs}


def _size(path: Path) -> int:
    """Bytes of a file, or of all files beneath a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file() and "__pycache__" not in f.parts)


def _arrivals(stage: Any, coming: Arrivals) -> Arrivals:
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
        if dep.def_path == PARAMS:
            yield from _of_params(state, then, now)
            continue
        for name, what in state.items():
            yield Change(VALUE, dep.def_path, what, name, then.get(name), now.get(name))


def _of_params(
    state: Mapping[str, str], then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Change]:
    """A block that one side alone has shows in the artifact that uses it."""
    old, new = uses.compared(uses.nested(then), uses.nested(now))
    for name, what in state.items():
        if not uses.block_of(name) or (name in then and name in now):
            values = declaration.at(old, name), declaration.at(new, name)
            yield Change(VALUE, PARAMS, what, name, *values)
