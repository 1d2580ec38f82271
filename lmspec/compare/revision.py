"""revision: what a commit, or the working tree, says of the spec and of the artifacts: parameters, metrics, tables, records."""

import contextlib
import csv
import functools
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.formats.lockfile import NEVER, Run
from lmspec.git import tree as repository
from lmspec.git.tree import WORKTREE, Tree
from lmspec.pipeline import paths
from lmspec.specs.names import NO_NOUNS

__all__ = ["WORKTREE", "Fault", "Revision", "read"]

PARAMS, LOCK, TOOLCHAIN = "params.yaml", lockfile.NAME, "toolchain.yaml"
CODE = ("stages", "lmspec")
FOLDERS = (PARAMS, LOCK, TOOLCHAIN, paths.METRICS, paths.PROVENANCE, *CODE)
REMEDY = "resolve the merge, restore it from git, or build it again"


@dataclass(frozen=True)
class Fault:
    """Why a file of metrics cannot be had."""

    reason: str


class Revision:
    """One side. What it holds is read when it is asked for, and once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.name, self.commit = tree.name, tree.commit

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml, nested. Raises LmspecError if it does not parse."""
        return _yaml(self.tree, PARAMS)

    @functools.cached_property
    def lock(self) -> dict[str, Run]:
        """Stage -> its last run, by dvc.lock; empty if there is none."""
        return lockfile.runs(self.tree.text(LOCK) or "", _place(self.tree, LOCK))

    @functools.cached_property
    def toolchain(self) -> dict[str, Any]:
        """toolchain.yaml, nested."""
        return _yaml(self.tree, TOOLCHAIN)

    @functools.cached_property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        """`noun.key` -> its section of params.yaml, in the order of the file."""
        sections = {
            noun: keys
            for noun, keys in self.params.items()
            if noun not in NO_NOUNS and isinstance(keys, dict)
        }
        return {
            f"{noun}.{key}": spec
            for noun, keys in sections.items()
            for key, spec in keys.items()
            if isinstance(spec, dict)
        }

    @functools.cache  # noqa: B019 - a revision lives as long as its command
    def metrics(self, artifact: str) -> Mapping[str, Any] | Fault:
        """What the artifact's stage wrote, nested; or why that is not to be had."""
        path = paths.metrics(artifact)
        content = self.tree.read(path)
        if content is None:
            return Fault(f"{path} is not there")
        try:
            values = json.loads(content)
        except (ValueError, RecursionError):
            return Fault(f"{path} is not JSON")
        return values if isinstance(values, dict) else Fault(f"{path} holds no names of metrics")

    @functools.cache  # noqa: B019
    def table(self, artifact: str, report: str) -> dict[str, list[str]] | None:
        """A table that git keeps, by columns; None if there is none, or it is not one."""
        text = self.tree.text(self.table_path(artifact, report))
        if not text:
            return None
        try:
            header, *rows = filter(None, csv.reader(io.StringIO(text, newline="")))
        except (csv.Error, ValueError):
            return None
        columns = list(zip(*rows, strict=False)) if rows else [() for _ in header]
        whole = all(len(row) == len(header) for row in rows)
        return (
            {name: list(column) for name, column in zip(header, columns, strict=True)}
            if whole
            else None
        )

    def table_path(self, artifact: str, report: str) -> str:
        """Where a table lies."""
        return paths.table(artifact, report)

    @functools.cache  # noqa: B019
    def provenance(self, artifact: str) -> dict[str, Any] | None:
        """The statement that the artifact's build has left; None if there is none."""
        content = self.tree.read(paths.provenance(artifact))
        try:
            (statement,) = json.loads(content or b"[]")
            build = statement["predicate"]["buildDefinition"]
            whole = all(
                isinstance(e, dict) for e in (*statement["subject"], *build["resolvedDependencies"])
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return statement if whole else None

    def better(self, artifact: str) -> dict[str, str]:
        """Name of a metric, or of what holds some -> `higher` or `lower`, as the stage declared it."""
        path = paths.metrics(artifact)
        entries = (self.provenance(artifact) or {}).get("subject", ())
        notes = next(
            (entry.get("annotations") for entry in entries if entry.get("name") == path), None
        )
        found = notes.get("better") if isinstance(notes, dict) else None
        return found if isinstance(found, dict) else {}


def read(name: str, root: Path) -> Revision:
    """A branch, tag or commit, or `worktree`. Raises LmspecError if git does not know it, or it holds no project."""
    found = of_tree(repository.tree(name, root, FOLDERS))
    try:
        _require_project(found)
    except LmspecError:
        found.tree.close()
        raise
    return found


def of_tree(tree: Tree) -> Revision:
    """With the modules outside of `stages` and `lmspec` that its stages import, by its dvc.lock. tree: of `FOLDERS`"""
    revision = Revision(tree)
    with contextlib.suppress(LmspecError):  # raised again where dvc.lock is needed
        deps = {path for run in revision.lock.values() for path in run.deps if path.endswith(".py")}
        elsewhere = {path for path in deps if is_elsewhere(path) and not Path(path).is_absolute()}
        repository.add(tree, sorted(elsewhere))
    return revision


def is_elsewhere(path: str) -> bool:
    """Does a file lie outside of the folders of code? It may be in no git: a build makes it, or a submodule holds it."""
    return path.partition("/")[0] not in CODE


def _require_project(found: Revision) -> None:
    if PARAMS not in found.tree.ids:
        remedy = (
            "run lmspec in the folder that holds params.yaml"
            if found.commit is None
            else "name a commit that has one"
        )
        raise LmspecError(_place(found.tree, PARAMS), "there is no such file", remedy)
    if not found.params:
        raise LmspecError(
            _place(found.tree, PARAMS), "it is empty", "restore it: `git checkout params.yaml`"
        )


def executed(*sides: Revision) -> dict[str, tuple[str, ...]] | None:
    """File -> the stages of artifacts that execute or read it, on any side, by dvc.lock; None if that tells none."""
    found: dict[str, dict[str, None]] = {}
    for side in sides:
        for stage in map(paths.stage_name, side.artifacts):
            for path in side.lock.get(stage, NEVER).deps:
                found.setdefault(path, {})[stage] = None
    return {path: tuple(stages) for path, stages in found.items()} or None


def at(values: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path of names, which may hold dots; None if nothing does."""
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def number(value: Any) -> float | None:
    """A finite number, else None: true is no number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of more than 308 digits
        return None


def _yaml(tree: Tree, path: str) -> dict[str, Any]:
    return _parsed(tree.text(path) or "", _place(tree, path))


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        values = _loaded(text)
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise LmspecError(f"{place}{line}", f"it does not parse: {error.problem}", REMEDY) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise LmspecError(
            place, f"it does not parse: {str(error).splitlines()[0]}", REMEDY
        ) from None
    return values if isinstance(values, dict) else {}


@functools.lru_cache(maxsize=8)
def _loaded(text: str) -> Any:
    """Both sides of a comparison often have the same params.yaml. Nobody changes what it gives."""
    return YAML(typ="safe").load(text)


def _place(tree: Tree, path: str) -> str:
    return path if tree.commit is None else f"{tree.name}:{path}"
