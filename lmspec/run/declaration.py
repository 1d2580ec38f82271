"""declaration: one stage as dvc.yaml declares it, and the values of its parameters."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.errors import LmspecError
from lmspec.specs import blocks
from lmspec.specs.names import ArtifactName

PARAMS, DVC_YAML, TOOLCHAIN = "params.yaml", "dvc.yaml", "toolchain.yaml"
OURS = Path(".lmspec")  # what git and DVC ignore: locks, scratch folders, durations
SYNC = "run `lmspec sync`, then `dvc repro`"
FETCHING = "sources"  # the noun whose stages may use the network
SEARCHING = "sweep"  # the noun whose stages keep results of trials
FOLDING = "folds"  # the noun whose stages train a model for each fold
TRAINED = "gradient_descent"  # `training.kind` of a network
PAIRED = "contrastive"  # and of an encoder, which one process trains
SHARED = (
    "machine",
    "numerics",
)  # sections that every stage is given, whether DVC watches them or not


@dataclass(frozen=True)
class Declaration:
    """A stage of dvc.yaml. Paths are relative to the root of the project.

    watched  file -> names of the parameters in it that DVC watches
    made     output of another stage that it depends on, in whole or in part -> what made it
    """

    name: ArtifactName
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    watched: Mapping[str, tuple[str, ...]]
    made: Mapping[str, ArtifactName] = field(default_factory=dict)
    command: str = ""

    @property
    def stage(self) -> str:
        """Its name in dvc.yaml."""
        return self.name.stage

    @property
    def fetches(self) -> bool:
        """May it use the network? Only sources may, and their hashes are declared."""
        return self.name.noun == FETCHING

    @property
    def searches(self) -> bool:
        """Does it keep results beyond its end, each by what it depends on?"""
        return self.name.noun == SEARCHING

    @property
    def folder(self) -> Path:
        """Its output."""
        return Path(self.name.folder)

    @property
    def partial(self) -> Path:
        """Where the output is built."""
        return self.folder.with_name(f".{self.name.name}.partial")

    @property
    def scratch(self) -> Path:
        """Home folder of one run."""
        return OURS / "run" / self.stage

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages in its cache key: DVC watches their versions in toolchain.yaml."""
        names = (name.partition("packages.") for name in self.watched.get(TOOLCHAIN, ()))
        return tuple(name for before, is_one, name in names if is_one and not before)

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of an installed lmspec: DVC watches their digests in toolchain.yaml."""
        return tuple(name for name in self.watched.get(TOOLCHAIN, ()) if name.startswith("lmspec."))


def read(root: Path, name: ArtifactName) -> Declaration:
    """Raises LmspecError if dvc.yaml does not have that stage."""
    stages = (load(root / DVC_YAML) if (root / DVC_YAML).exists() else {}).get("stages") or {}
    if name.stage not in stages:
        raise LmspecError(DVC_YAML, f"there is no stage {name.stage}", SYNC)
    declared = of_entry(name, stages[name.stage])
    makers = {out: maker for maker, entry in stages.items() for out in _outs(entry)}
    if declared.fetches:
        _require_not_built(root, declared, makers)
    deps = [place for dep in declared.deps for place in (dep, *map(str, PurePath(dep).parents))]
    made = {place: ArtifactName.of_stage(makers[place]) for place in deps if place in makers}
    return replace(declared, made=made)


def trains(declared: Declaration, values: Mapping[str, Mapping[str, Any]]) -> bool:
    """Does a stage train a network, by its section? It may have ranks and checkpoints.

    values  file -> name -> value of the parameters
    """
    return _training(declared, values) == TRAINED


def keeps(declared: Declaration, values: Mapping[str, Mapping[str, Any]]) -> bool:
    """Does a stage keep what it has done, to go on from there after a kill?"""
    many = declared.name.noun in (SEARCHING, FOLDING)
    return many or _training(declared, values) in (TRAINED, PAIRED)


def _training(declared: Declaration, values: Mapping[str, Mapping[str, Any]]) -> str | None:
    section = blocks.without(values[PARAMS]).get(str(declared.name)) or {}
    training = section.get("training")
    return str(training.get("kind")) if isinstance(training, dict) else None


def _require_not_built(root: Path, declared: Declaration, makers: Mapping[str, str]) -> None:
    """Raises LmspecError if a source copies what a stage makes: no one knows what that has seen."""
    top = root.resolve()
    for path in ((dep, (root / dep).resolve()) for dep in declared.deps):
        for out, maker in makers.items():
            made = top / out
            if path[1].is_relative_to(made) or made.is_relative_to(path[1]):
                name = ArtifactName.of_stage(maker)
                found = f"{name} builds {out}, and {path[0]} is no source"
                raise LmspecError(str(declared.name), found, f"refer to {name} itself")


def of_entry(name: ArtifactName, entry: Mapping[str, Any]) -> Declaration:
    """A stage as dvc.yaml has it, without `made`, which the other stages tell."""
    watched: dict[str, tuple[str, ...]] = {}
    for item in entry.get("params", ()):
        for file, names in (item if isinstance(item, dict) else {PARAMS: [item]}).items():
            watched[file] = (*watched.get(file, ()), *names)
    return Declaration(
        name, tuple(entry.get("deps", ())), _outs(entry), watched, command=str(entry.get("cmd"))
    )


def _outs(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of all outputs of a stage, those that git keeps among them."""
    outs = [*entry.get("outs", ()), *entry.get("plots", ()), *entry.get("metrics", ())]
    return tuple(path for out in outs for path in ([out] if isinstance(out, str) else out))


def values(root: Path, declared: Declaration) -> dict[str, dict[str, Any]]:
    """File -> name -> value of the parameters that DVC watches, and of the shared sections.

    Raises LmspecError if params.yaml is missing or has no such artifact.
    """
    if not (root / PARAMS).is_file():
        remedy = "run it in the folder that holds params.yaml"
        raise LmspecError(PARAMS, "there is no such file here", remedy)
    by_file = {}
    for file, names in ({PARAMS: (), TOOLCHAIN: ()} | dict(declared.watched)).items():
        document = load(root / file) if (root / file).exists() else {}
        names = (*names, *(SHARED if file == PARAMS else ()))
        by_file[file] = {name: at(document, name) for name in dict.fromkeys(names)}
        if file == PARAMS:
            _require_watched(declared, by_file[file], document)
    return by_file


def _require_watched(
    declared: Declaration, given: Mapping[str, Any], params: Mapping[str, Any]
) -> None:
    """Raises LmspecError if there is no such artifact, or DVC does not watch a block of it.

    given  name -> value of what DVC watches; a section that it reads beside its own counts as well
    """
    sections = {name: value for name, value in given.items() if blocks.takes(name)}
    for name in (str(declared.name), *sections):
        if sections.get(name) is None:
            raise LmspecError(PARAMS, f"there is no artifact {name}", SYNC)
    used = (f"{blocks.PREFIX}{name}" for name in blocks.used(sections, blocks.of(params)))
    if missing := sorted(set(used) - set(declared.watched.get(PARAMS, ()))):
        found = f"{declared.stage} uses {', '.join(missing)}, which it does not declare"
        raise LmspecError(DVC_YAML, found, SYNC)


def same(one: Any, other: Any) -> bool:
    """Are two values the same to a spec, and so to the build?

    0 and 0.0 are, as to DVC: a field that takes fractions reads both as 0.0, and one that takes
    whole numbers refuses 0.0. 1 and true are not: DVC takes them for the same, no spec takes both.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def at(document: Any, name: str) -> Any:
    """The value under a dotted name, or None."""
    for part in name.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file as DVC reads it."""
    try:
        return YAML(typ="safe").load(path) or {}
    except YAMLError as error:
        first_line = str(error).partition("\n")[0]
        message = f"it is not YAML: {first_line}"
        raise LmspecError(os.path.relpath(path), message, "`lmspec validate` says where") from None
