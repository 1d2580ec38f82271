"""revision: parameters, metrics, tables and provenance of a commit or of the working tree."""

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

from lmspec.compare.caching import cached
from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.formats.lockfile import NEVER, Run
from lmspec.git import line_endings
from lmspec.git import tree as repository
from lmspec.git.tree import Tree
from lmspec.language import document as documents
from lmspec.language.problems import ProblemsFound
from lmspec.run import declaration, provenance
from lmspec.run.provenance import Provenance
from lmspec.specs import blocks
from lmspec.specs.names import METRICS, NO_NOUNS, PROVENANCE, ArtifactName, MetricPath

LOCK = lockfile.NAME
PARAMS, TOOLCHAIN, DVC_YAML = declaration.PARAMS, declaration.TOOLCHAIN, declaration.DVC_YAML
Nested = dict[str, Any]
Table = dict[str, list[str]]  # by column
CODE = ("stages", "lmspec")
FOLDERS = (PARAMS, LOCK, TOOLCHAIN, DVC_YAML, METRICS, PROVENANCE, *CODE)
TRACKED = ".dvc"  # a file beside data that is in DVC's cache, with its hash
REMEDY = "resolve the merge, restore it from git, or build it again"


@dataclass(frozen=True)
class Unavailable:
    """Why metrics or predictions cannot be read, or cannot be compared."""

    reason: str


Metrics = Mapping[str, Any] | Unavailable


class Revision:
    """A commit, or the working tree, read lazily; every file is parsed at most once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.name, self.commit = tree.name, tree.commit

    @functools.cached_property
    def params(self) -> Nested:
        """params.yaml, nested. Raises LmspecError if it does not parse."""
        return yaml_of(self.tree, PARAMS)

    @functools.cached_property
    def resolved(self) -> Nested:
        """params.yaml with blocks in place of the references to them."""
        return blocks.without(self.params)

    @functools.cached_property
    def lock(self) -> dict[str, Run]:
        """Stage -> its last run, by dvc.lock; empty if there is none."""
        return lockfile.runs(self.tree.text(LOCK) or "", _place(self.tree, LOCK))

    def run(self, artifact: str) -> Run:
        """The artifact's last run; an empty one if it never ran."""
        return self.lock.get(ArtifactName.parse(artifact).stage, NEVER)

    @functools.cached_property
    def toolchain(self) -> Nested:
        """toolchain.yaml, nested."""
        return yaml_of(self.tree, TOOLCHAIN)

    @functools.cached_property
    def pipeline(self) -> Nested:
        """dvc.yaml, nested."""
        return yaml_of(self.tree, DVC_YAML)

    @functools.cached_property
    def artifacts(self) -> dict[str, Nested]:
        """`noun.name` -> its section of params.yaml, in the order of the file."""
        return {
            f"{noun}.{name}": spec
            for noun, section in self.resolved.items()
            if noun not in NO_NOUNS and isinstance(section, dict)
            for name, spec in section.items()
            if isinstance(spec, dict)
        }

    @cached
    def metrics(self, artifact: str) -> Metrics:
        """The artifact's metrics file, nested, or why it cannot be read."""
        path = ArtifactName.parse(artifact).metrics
        content = self.tree.read(path)
        if content is None:
            return Unavailable(f"{path} does not exist")
        try:
            values = json.loads(content)
        except (ValueError, RecursionError):
            return Unavailable(f"{path} is not JSON")
        return values if isinstance(values, dict) else Unavailable(f"{path} is not a JSON object")

    def number(self, artifact: str, path: MetricPath) -> float | None:
        """The metric at a path of the artifact's metrics; None if it is not a finite number."""
        return number(at(self.metrics(artifact), path))

    def table(self, artifact: str, report: str) -> Table | None:
        """A committed CSV table, by column; None if it is absent or malformed."""
        text = self.tree.text(ArtifactName.parse(artifact).table(report))
        if not text:
            return None
        try:
            header, *rows = filter(None, csv.reader(io.StringIO(text, newline="")))
        except (csv.Error, ValueError):
            return None
        if any(len(row) != len(header) for row in rows):
            return None
        columns = zip(*rows, strict=True) if rows else [() for _ in header]
        return {name: list(column) for name, column in zip(header, columns, strict=True)}

    def table_id(self, artifact: str, report: str) -> str | None:
        """git's object id of that table; None if there is none."""
        return self.tree.ids.get(ArtifactName.parse(artifact).table(report))

    @cached
    def provenance(self, artifact: str) -> Provenance | None:
        """What the artifact's build was made from; None if the file is absent or malformed."""
        return provenance.read(self.tree.read(ArtifactName.parse(artifact).provenance))

    def directions(self, artifact: str) -> dict[str, str]:
        """Metric, or a group of them -> `higher` or `lower` is better, as its stage declares."""
        made = self.provenance(artifact)
        return made.directions(ArtifactName.parse(artifact).metrics) if made else {}


def read(name: str, root: Path) -> Revision:
    """Open a branch, tag or commit, or `worktree`.

    Raises LmspecError if git does not know it, or it holds no project.
    """
    revision = of_tree(repository.tree(name, root, FOLDERS))
    try:
        require_project(revision)
    except LmspecError:
        revision.tree.close()
        raise
    return revision


def of_tree(tree: Tree) -> Revision:
    """A tree of `FOLDERS`.

    Adds the files that sources copy, those of annotations, and modules elsewhere that dvc.lock has
    as dependencies.
    """
    revision = Revision(tree)
    with contextlib.suppress(LmspecError):  # raised again where params.yaml is needed
        sources = source_files(revision.artifacts).values()
        if paths := [*sources, *annotation_files(revision.artifacts)]:
            repository.add_data(tree, [*paths, *(f"{path}{TRACKED}" for path in paths)])
    with contextlib.suppress(LmspecError):  # raised again where dvc.lock is needed
        deps = {path for run in revision.lock.values() for path in run.deps if path.endswith(".py")}
        elsewhere = {path for path in deps if is_elsewhere(path) and not Path(path).is_absolute()}
        repository.add(tree, sorted(elsewhere))
    return revision


def source_files(artifacts: Mapping[str, Nested]) -> dict[str, str]:
    """Source -> the file or folder of the repository that it copies."""
    return {
        name: path
        for name, spec in artifacts.items()
        if name.startswith("sources.") and spec.get("kind") == "file"
        if isinstance(path := spec.get("path"), str)
        and path
        and not {"", ".."} & set(path.split("/"))
    }


def annotation_files(artifacts: Mapping[str, Nested]) -> list[str]:
    """Files of the repository with labels that people gave, each once."""
    lists = (
        spec.get("corrections") for name, spec in artifacts.items() if name.startswith("corpus.")
    )
    paths = (path for each in lists if isinstance(each, list) for path in each)
    texts = (path for path in paths if isinstance(path, str))
    return list(dict.fromkeys(path for path in texts if not {"", ".."} & {*path.split("/")}))


def is_elsewhere(path: str) -> bool:
    """Is a file outside the code folders? A build or a submodule may provide it, not git."""
    return path.partition("/")[0] not in CODE


def require_project(revision: Revision) -> None:
    """Raises LmspecError if params.yaml is absent, empty, or does not parse."""
    place = _place(revision.tree, PARAMS)
    if PARAMS not in revision.tree.ids:
        here = "run lmspec in the folder that holds params.yaml"
        remedy = here if revision.commit is None else "name a commit that has one"
        raise LmspecError(place, "there is no such file", remedy)
    if revision.commit is None and "\r\n" in (revision.tree.text(PARAMS) or ""):
        line_endings.require_unconverted(revision.tree.root)
    if not revision.params:
        raise LmspecError(place, "it is empty", "restore it: `git checkout params.yaml`")


def executed(*revisions: Revision) -> dict[str, tuple[str, ...]] | None:
    """File -> stages that depend on it, by any revision's dvc.lock; None if none does."""
    stages: dict[str, dict[str, None]] = {}
    for revision in revisions:
        for artifact in revision.artifacts:
            for path in revision.run(artifact).deps:
                stages.setdefault(path, {})[ArtifactName.parse(artifact).stage] = None
    return {path: tuple(names) for path, names in stages.items()} or None


def at(values: Any, path: MetricPath) -> Any:
    """The value at a path of names, each of which may hold dots; None if there is none."""
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def number(value: Any) -> float | None:
    """A finite number, else None; a boolean is not a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an int of more than 308 digits
        return None


def yaml_of(tree: Tree, path: str) -> Nested:
    """The values of a file, read within the limits of `lmspec validate`; {} if it is empty."""
    try:
        return _loaded(tree.text(path) or "")
    except ProblemsFound as error:
        place, first = _place(tree, path), error.problems[0]
        line = f":{first.span.line}" if error.lines else ""
        raise LmspecError(f"{place}{line}", f"it does not parse: {first.found}", REMEDY) from None


@functools.lru_cache(maxsize=8)
def _loaded(text: str) -> Nested:
    """Cached, since two revisions often share a params.yaml. Treat the result as frozen."""
    return documents.parsed(text, Path(PARAMS)).values if text.strip() else {}


def _place(tree: Tree, path: str) -> str:
    return path if tree.commit is None else f"{tree.name}:{path}"
