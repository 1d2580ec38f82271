"""declared: what each entry of a revision's dvc.lock must have, from dvc.yaml compiled again.

An edit by hand or a merge can leave anything in dvc.yaml and dvc.lock. So the revision's own
params.yaml and code are compiled, from git. If an entry lacks any of the result, its artifact is
out of date.

This lmspec cannot compile a commit of another version. Its entries are compared with its own
dvc.yaml, which must have what every version writes: see `_of_any_lmspec`.
"""

import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmspec.compare.revision import CODE, DVC_YAML, PARAMS, Nested, Revision
from lmspec.errors import LmspecError
from lmspec.formats.lockfile import Run
from lmspec.git import kept
from lmspec.git import tree as repository
from lmspec.language import nouns
from lmspec.pipeline import closure
from lmspec.run import declaration
from lmspec.specs.names import NO_NOUNS, PROVENANCE, ArtifactName

if TYPE_CHECKING:
    from lmspec.specs.project import Project

LMSPEC = Path(__file__).parents[1]
COMPILING = ("specs", *(f"pipeline/{name}.py" for name in ("compiler", "closure", "packages")))
COMMAND = re.compile(
    r'exec (?:env PYTHONHASHSEED=0 (?:PATH="\$PWD/\.venv/bin:\$PATH" )?)?'
    r"python -m (?:lmspec\.run |stages\.)(\w+) (\S+)(?: # .*)?"
)
OTHER_COMMAND = "it was built by another command than its own"
INVALID = "its spec in params.yaml is not valid"


@dataclass(frozen=True)
class Declared:
    """What an entry must have. params: (file, name); problem: why it cannot be known, or None."""

    command: str
    params: tuple[tuple[str, str], ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    problem: str | None = None

    def lacking(self, run: Run) -> Iterator[str]:
        """What an entry lacks, in words."""
        if self.problem is not None:
            yield self.problem
            return
        if run.command != self.command:
            yield OTHER_COMMAND
        for file, name in self.params:
            if name not in run.params.get(file, {}):
                yield f"dvc.lock does not say with which {name} of {file} it was built"
        for path in self.deps:
            if not run.deps.get(path):
                yield f"dvc.lock does not say with which {path} it was built"
        for path in self.outs:
            if not run.outs.get(path):
                yield f"dvc.lock does not record its build's {path}"


class Compiled:
    """The pipeline of a revision.

    foreign  did another lmspec write its dvc.yaml?
    """

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.code = _Code(revision)

    @functools.cached_property
    def stages(self) -> dict[str, Declared]:
        """Artifact -> what its entry must have according to this lmspec."""
        root, key = self.revision.tree.root, _key(self.revision)
        text = kept.read(root, key)
        if text is None:
            stages = _compiled(self.revision, self.code)
            text = json.dumps({name: astuple(stage) for name, stage in stages.items()})
            kept.write(root, key, text)
        return {name: _frozen(*fields) for name, fields in json.loads(text).items()}

    @functools.cached_property
    def foreign(self) -> bool:
        """Did another lmspec write its dvc.yaml?"""
        ids = self.revision.tree.ids
        longest = max(map(len, ids.values()), default=0)
        own = _own_ids("sha256" if longest == 64 else "sha1")
        if any(path.startswith("lmspec/") for path in ids):
            return any(ids.get(path, own[path]) != own[path] for path in own)
        recorded = self.revision.toolchain.get("lmspec")
        return any(
            hashlib.sha256(file.read_bytes()).hexdigest() != digest
            for file, digest in _digests(recorded if isinstance(recorded, dict) else {}, LMSPEC)
            if file.is_file()
        )

    def lacking(self, artifact: str, run: Run) -> str | None:
        """The first thing that an entry lacks; None if it is complete."""
        reason = next(self.stages[artifact].lacking(run), None)
        if reason is None or not self.foreign:
            return reason
        return next(self._of_any_lmspec(artifact).lacking(run), None)

    def _of_any_lmspec(self, artifact: str) -> Declared:
        """What its own dvc.yaml says, and what every lmspec writes.

        The latter: lmspec's command; the artifact's section, and what it refers to; the stage's
        script, and all that it imports; an output, and provenance if any stage has it.
        """
        name = ArtifactName.parse(artifact)
        stages = self.revision.pipeline.get("stages")
        entry = stages.get(name.stage) if isinstance(stages, dict) else None
        try:
            stage = _of_entry(name, entry if isinstance(entry, dict) else {})
            code = closure.closure((f"stages.{name.noun}",), self.code).files
        except (LmspecError, TypeError, AttributeError) as error:
            return _problem(error)
        form = COMMAND.fullmatch(stage.command)
        if form is None or form.groups() != tuple(name):
            return _problem(OTHER_COMMAND)
        spec, section = self.revision.artifacts[artifact], nouns.of(name.noun).section
        if section in spec:  # what it names is not read, but what that is made from
            spec = spec | {section: self.revision.artifacts.get(str(spec[section]))}
        needs = [
            ArtifactName.parse(text).folder
            for text in _texts(spec)
            if text in self.revision.artifacts
        ]
        outs = [] if nouns.of(name.noun).measured else [name.folder]
        if f"{PROVENANCE}/" in (self.revision.tree.text(DVC_YAML) or ""):
            outs.append(name.provenance)
        return Declared(
            stage.command,
            (*stage.params, (PARAMS, artifact)),
            (*stage.deps, *needs, *code),
            (*stage.outs, *outs),
        )


class _Code:
    """The Python files of a revision, for the closure."""

    def __init__(self, revision: Revision) -> None:
        self.tree, self._added = revision.tree, set(CODE)

    @functools.cached_property
    def _top_level(self) -> set[str]:
        return repository.top_level(self.tree)

    def has(self, path: str) -> bool:
        """Is there such a file?"""
        top = path.partition("/")[0]
        if top not in self._added and top in self._top_level:
            repository.add(self.tree, [top])
        self._added.add(top)
        return path in self.tree.ids

    def has_package(self, name: str) -> bool:
        """Is there such a folder at the root?"""
        return name in self._top_level

    def imports(self, path: str) -> frozenset[str]:
        """Names that the file imports. Raises LmspecError if it does not parse."""
        return _imports(self.tree.text(path) or "", path)


_imports = functools.lru_cache(maxsize=4096)(closure.imports)


def _compiled(revision: Revision, code: _Code) -> dict[str, Declared]:
    from lmspec.pipeline import compiler, packages

    recorded = revision.toolchain.get("packages")
    recorded = {str(k): str(v) for k, v in (recorded if isinstance(recorded, dict) else {}).items()}
    project, invalid = _project(revision)
    stages = {}
    for artifact in revision.artifacts:
        name = ArtifactName.parse(artifact)
        try:
            if project is None or artifact in invalid:
                raise LmspecError(PARAMS, "", "")
            files = compiler.code_of(project, project.find(artifact), code)
            watched = packages.watched(files.foreign, recorded)
            stages[artifact] = _of_entry(name, compiler.stage_of(project, artifact, files, watched))
        except KeyError:
            stages[artifact] = _problem("it is made from an artifact that params.yaml lacks")
        except LmspecError as error:
            stages[artifact] = _problem(error if error.found else INVALID)
    return stages


def _project(revision: Revision) -> "tuple[Project | None, set[str]]":
    """The part of params.yaml that can be compiled, and the artifacts that are not valid."""
    from pydantic import ValidationError

    from lmspec.specs.project import Project

    sections = {k: v for k, v in revision.params.items() if v is not None and k != "gates"}
    invalid: set[str] = set()
    while True:
        try:
            return Project.model_validate(sections), invalid
        except ValidationError as error:
            places = {tuple(map(str, one["loc"][:2])) for one in error.errors()}
        for noun, *name in places:
            section = sections.get(noun)
            if noun in NO_NOUNS or not isinstance(section, dict):
                return None, invalid
            broken = name if name and name[0] in section else list(section)
            invalid |= {str(ArtifactName(noun, each)) for each in broken}
            sections[noun] = {each: spec for each, spec in section.items() if each not in broken}
            if not sections[noun]:
                del sections[noun]


def _of_entry(name: ArtifactName, entry: Mapping[str, Any]) -> Declared:
    stage = declaration.of_entry(name, entry)
    params = tuple((file, param) for file, names in stage.watched.items() for param in names)
    return Declared(str(entry.get("cmd", "")), params, stage.deps, stage.outs)


def _problem(error: object) -> Declared:
    why = f"{error.place}: {error.found}" if isinstance(error, LmspecError) else str(error)
    return Declared("", (), (), (), why)


def _frozen(command: str, params: Any, deps: Any, outs: Any, problem: str | None) -> Declared:
    return Declared(command, tuple(map(tuple, params)), tuple(deps), tuple(outs), problem)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _digests(branch: Nested, place: Path) -> Iterator[tuple[Path, str]]:
    """(file of this lmspec, its digest in toolchain.yaml) of each module there."""
    for name, value in branch.items():
        if isinstance(value, dict):
            yield from _digests(value, place / str(name))
        else:
            yield place / f"{name}.py", str(value)


@functools.cache
def _own_files() -> tuple[Path, ...]:
    places = (LMSPEC / place for place in COMPILING)
    files = (sorted(p.rglob("*.py")) if p.is_dir() else [p] for p in places)
    return tuple(file for some in files for file in some)


@functools.cache
def _own_ids(algorithm: str) -> dict[str, str]:
    """Path in a project that contains lmspec -> git's hash, of the modules that compile."""
    return {
        f"lmspec/{file.relative_to(LMSPEC).as_posix()}": repository.id_of(file, algorithm)
        for file in _own_files()
    }


@functools.cache
def _environment() -> str:
    """The installed packages and this lmspec, since both decide what is compiled."""
    folders = [folder for folder in map(Path, sys.path) if folder.is_dir()]
    packages = {p.name for folder in folders for p in folder.iterdir() if p.name.endswith("-info")}
    own = repository.id_of(Path(__file__), "sha256")
    return repr((sys.version_info[:2], sorted(packages), own, _own_ids("sha256")))


def _key(revision: Revision) -> str:
    """Identifies what is compiled. The working tree has no hash, so its files are listed."""
    tree = revision.tree
    what: Any = tree.commit
    if what is None:
        files = {p: i for p, i in tree.ids.items() if p.endswith((".py", ".yaml"))}
        what = files, repository.stamps(tree.root, ".py")
    key = repr((str(tree.root), what, _environment()))
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
