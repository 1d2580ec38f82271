"""records: do the records, the outputs and the inputs that are here agree with each other?"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.pipeline.paths import PROVENANCE, stage_name
from lmspec.run import declaration, provenance, toolchain
from lmspec.run.declaration import Declaration
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project

PACKAGE = "pkg:pypi/"


@dataclass(frozen=True)
class Record:
    """What a record says. outputs, inputs: name -> entry; packages: name -> version in full, of those in the key."""

    sandbox: str
    params: Mapping[str, Any]
    outputs: Mapping[str, provenance.Entry]
    inputs: Mapping[str, provenance.Entry]
    packages: Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """One disagreement, or, where `absent`, an output that is not here to be compared."""

    stage: str
    what: str
    absent: bool = False


def read(path: Path) -> Record | None:
    """None if there is none, or it is not one."""
    try:
        (document,) = json.loads(path.read_text(encoding="utf-8"))
        build = document["predicate"]["buildDefinition"]
        entries = build["resolvedDependencies"]
        keyed = (
            e["uri"].removeprefix(PACKAGE).partition("@")
            for e in entries
            if "uri" in e and "annotations" not in e
        )
        return Record(
            build["internalParameters"]["sandbox"],
            build["externalParameters"]["params"],
            {entry["name"]: entry for entry in document["subject"]},
            {entry["name"]: entry for entry in entries if "name" in entry},
            {name: version for name, _, version in keyed},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def all_of(project: Project, root: Path) -> dict[str, Record | None]:
    """Stage -> its record."""
    names = [stage_name(name) for name, _ in project.artifacts()]
    return {name: read(root / PROVENANCE / f"{name}.json") for name in names}


def findings(project: Project, root: Path, found: Mapping[str, Record | None]) -> Iterator[Finding]:
    """All that does not agree, stage by stage."""
    made = {name: entry for one in found.values() if one for name, entry in one.outputs.items()}
    for name, _ in project.artifacts():
        stage = declaration.read(root, ArtifactName.parse(name))
        one = found[stage.stage]
        if one is None:
            yield Finding(stage.stage, f"{stage.provenance} is missing, or is no record")
            continue
        yield from (
            Finding(stage.stage, what, absent) for what, absent in _of_outputs(root, stage, one)
        )
        yield from (Finding(stage.stage, what) for what in _of_inputs(root, stage, one, made))
        yield from (Finding(stage.stage, what) for what in _of_settings(root, stage, one))


def _of_outputs(root: Path, stage: Declaration, one: Record) -> Iterator[tuple[str, bool]]:
    for out in stage.outs:
        if out == stage.provenance:
            continue
        if out not in one.outputs:
            yield f"{out} is not in its record", False
        elif not (root / out).exists():
            yield f"{out} is not here", out == stage.folder.as_posix()
        elif provenance.of_path(root / out, out)["digest"] != one.outputs[out]["digest"]:
            yield f"{out} is not what its record says", False


def _of_inputs(
    root: Path, stage: Declaration, one: Record, made: Mapping[str, provenance.Entry]
) -> Iterator[str]:
    """made: output -> what the record of the stage that made it says."""
    for dep in stage.deps:
        said = one.inputs.get(dep)
        if said is None:
            yield f"{dep} is not in its record"
        elif dep in made:
            if said != made[dep]:
                yield f"it was made from another {dep} than that which the records say was built"
        elif not (root / dep).exists():
            yield f"{dep} is not here"
        elif not _agrees(said, provenance.of_path(root / dep, dep)):
            yield f"{dep} is not what it was built with"


def _agrees(said: provenance.Entry, here: provenance.Entry) -> bool:
    """The same bytes, or the same parsed code."""
    parsed = said.get("annotations")
    return said["digest"] == here["digest"] or (
        parsed is not None and parsed == here.get("annotations")
    )


def _of_settings(root: Path, stage: Declaration, one: Record) -> Iterator[str]:
    values = declaration.values(root, stage)
    for name in stage.watched[declaration.PARAMS]:
        if not declaration.same(values[declaration.PARAMS][name], one.params.get(name)):
            yield f"{name} of params.yaml is not what it was built with"
    for key, version in values[declaration.TOOLCHAIN].items():
        name = key.removeprefix("packages.")
        if name != key and toolchain.public(one.packages.get(name, "")) != version:
            yield f"it was built with {name} {one.packages.get(name, 'of no version')}, and toolchain.yaml says {version}"
