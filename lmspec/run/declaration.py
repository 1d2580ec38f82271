"""declaration: one stage as dvc.yaml has it, with the values of its parameters, typed."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.errors import LmspecError

PARAMS, DVC_YAML, TOOLCHAIN = "params.yaml", "dvc.yaml", "toolchain.yaml"
METRICS, PROVENANCE, OURS = Path("data/metrics"), Path("data/provenance"), Path(".lmspec")
HERE = (
    "machine",
    "numerics",
)  # sections that a stage is handed beside its own; DVC watches only those that dvc.yaml names


@dataclass(frozen=True)
class Stage:
    """Paths are relative to the root, as DVC has them.

    watched  file -> names in it of the parameters that DVC watches
    """

    noun: str
    key: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    watched: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        """In dvc.yaml."""
        return f"{self.noun}-{self.key}"

    @property
    def folder(self) -> Path:
        """Where its output belongs."""
        return Path("data", self.noun, self.key)

    @property
    def partial(self) -> Path:
        """Where its output is built."""
        return Path("data", self.noun, f".{self.key}.partial")

    @property
    def scratch(self) -> Path:
        """Its home and temporary folder, for one run."""
        return OURS / "run" / self.name

    @property
    def report(self) -> Path:
        """Where it leaves metrics and tables, to be put into data/metrics when all is well."""
        return self.scratch / "report"

    @property
    def metrics(self) -> str:
        """Where its metrics belong."""
        return (METRICS / f"{self.name}.json").as_posix()

    @property
    def provenance(self) -> str:
        """Where its record belongs."""
        return (PROVENANCE / f"{self.name}.json").as_posix()

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of an lmspec outside of the project, where DVC watches toolchain.yaml in their place."""
        return tuple(name for name in self.watched.get(TOOLCHAIN, ()) if name.startswith("lmspec."))


def read(root: Path, noun: str, key: str) -> Stage:
    """Raises LmspecError if dvc.yaml does not have that stage."""
    name = f"{noun}-{key}"
    stages = (load(root / DVC_YAML) if (root / DVC_YAML).exists() else {}).get("stages") or {}
    if name not in stages:
        raise LmspecError(
            DVC_YAML, f"there is no stage {name}", "run `lmspec sync`, then `dvc repro`"
        )
    entry = stages[name]
    watched: dict[str, tuple[str, ...]] = {}
    for item in entry.get("params", ()):
        for file, names in (item if isinstance(item, dict) else {PARAMS: [item]}).items():
            watched[file] = (*watched.get(file, ()), *names)
    outs = [*entry.get("outs", ()), *entry.get("plots", ()), *entry.get("metrics", ())]
    paths = (path for out in outs for path in ([out] if isinstance(out, str) else out))
    return Stage(noun, key, tuple(entry.get("deps", ())), tuple(paths), watched)


def values(root: Path, stage: Stage) -> dict[str, dict[str, Any]]:
    """File -> name -> value, of what DVC watches, and of machine and numerics.

    Raises LmspecError if params.yaml is missing or has no such artifact.
    """
    if not (root / PARAMS).is_file():
        raise LmspecError(
            PARAMS, "there is no such file here", "run it in the folder that holds params.yaml"
        )
    wanted = {PARAMS: (), TOOLCHAIN: ()} | dict(stage.watched)
    found = {}
    for file, names in wanted.items():
        document = load(root / file) if (root / file).exists() else {}
        names = (*names, *(HERE if file == PARAMS else ()))
        found[file] = {name: at(document, name) for name in dict.fromkeys(names)}
    if found[PARAMS].get(f"{stage.noun}.{stage.key}") is None:
        remedy = "run `lmspec sync`, then `dvc repro`"
        raise LmspecError(PARAMS, f"there is no artifact {stage.noun}.{stage.key}", remedy)
    return found


def same(one: Any, other: Any) -> bool:
    """With types: DVC takes 1, 1.0 and true for the same value."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(
        other, sort_keys=True, default=repr
    )


def at(document: Any, name: str) -> Any:
    """The value under a dotted name; None if it is not there."""
    for part in name.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def load(path: Path) -> dict[str, Any]:
    """A YAML file as DVC reads it."""
    try:
        return YAML(typ="safe").load(path) or {}
    except YAMLError as error:
        said = str(error).partition("\n")[0]
        raise LmspecError(
            os.path.relpath(path), f"it is not YAML: {said}", "`lmspec validate` says where"
        ) from None
