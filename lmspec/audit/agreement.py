"""agreement: do provenance files agree with each other and with the files that are here?"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import some
from lmspec.methods import folders
from lmspec.methods.folders import Hasher
from lmspec.run import declaration, digests, provenance, toolchain
from lmspec.run.declaration import Declaration
from lmspec.run.provenance import Entry, Provenance
from lmspec.specs import blocks
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project

NOT_COMPARED = ", so it was not compared: `dvc pull`"
REMEDY = (
    "`dvc repro` rebuilds what is out of date; "
    "if it builds nothing, `lmspec verify --cache` names what is damaged; "
    "`dvc repro --force` rebuilds what `dvc commit` recorded without a build"
)


@dataclass(frozen=True)
class Agreement:
    """lines: what disagrees, each with its stages; sandboxes: what enforced it -> builds."""

    lines: tuple[str, ...]
    disagreements: int
    sandboxes: Mapping[str, int]


def check(
    project: Project, root: Path, stages: Collection[str] = (), every_byte: bool = False
) -> Agreement:
    """Compare the provenance of those stages with that of all others and with the files here.

    stages      empty for all
    every_byte  hash again even what did not change since it was last hashed
    """
    store = digests.Store(root)
    hasher = folders.of_file if every_byte else store.sha256
    by_stage = provenances(project, root)
    made: dict[str, Entry] = {}
    for stated in by_stage.values():
        made |= stated.outputs if stated else {}
    disagreeing: dict[str, list[str]] = {}  # what disagrees -> stages
    chosen = {stage: by_stage[stage] for stage in stages or by_stage}
    for stage, stated in chosen.items():
        for what in disagreements(root, stage, stated, made, hasher):
            disagreeing.setdefault(what, []).append(stage)
    store.save()
    return Agreement(
        tuple(f"{some(names)}: {what}" for what, names in disagreeing.items()),
        sum(len(names) for what, names in disagreeing.items() if not what.endswith(NOT_COMPARED)),
        Counter(stated.sandbox for stated in chosen.values() if stated),
    )


def provenances(project: Project, root: Path) -> dict[str, Provenance | None]:
    """Stage -> its provenance; None if the file is missing or malformed."""
    by_stage = {}
    for name, _ in project.artifacts():
        artifact = ArtifactName.parse(name)
        path = root / artifact.provenance
        by_stage[artifact.stage] = provenance.read(path.read_bytes() if path.is_file() else None)
    return by_stage


def disagreements(
    root: Path,
    stage: str,
    stated: Provenance | None,
    made: Mapping[str, Entry],
    hasher: Hasher,
) -> Iterator[str]:
    """All of one stage. made: output -> its entry in the provenance of the stage that made it."""
    declared = declaration.read(root, ArtifactName.of_stage(stage))
    if stated is None:
        yield f"{declared.name.provenance} is missing or malformed"
    else:
        yield from _of_outputs(root, declared, stated, hasher)
        yield from _of_inputs(root, declared, stated, made, hasher)
        yield from _of_settings(root, declared, stated)


def _of_outputs(
    root: Path, declared: Declaration, stated: Provenance, hasher: Hasher
) -> Iterator[str]:
    for out in declared.outs:
        if out == declared.name.provenance:
            continue
        if out not in stated.outputs:
            yield f"{out} is not in its provenance"
        elif not (root / out).exists():
            yield f"{out} is not here{NOT_COMPARED if out == declared.name.folder else ''}"
        elif provenance.of_path(root / out, out, hasher)["digest"] != stated.outputs[out]["digest"]:
            yield f"{out} differs from its provenance"


def _of_inputs(
    root: Path,
    declared: Declaration,
    stated: Provenance,
    made: Mapping[str, Entry],
    hasher: Hasher,
) -> Iterator[str]:
    for dep in declared.deps:
        entry = stated.inputs.get(dep)
        if entry is None:
            yield f"{dep} is not in its provenance"
        elif dep in made:
            if entry["digest"] != made[dep]["digest"]:
                yield f"it was made from another {dep} than the one that was built"
        elif not (root / dep).exists():
            yield f"{dep} is not here"
        elif not _same(entry, provenance.of_path(root / dep, dep, hasher)):
            yield f"{dep} changed since it was built"


def _same(stated: Entry, here: Entry) -> bool:
    """The same bytes, or the same parsed code."""
    parsed = stated.get("annotations")
    if parsed is not None and parsed == here.get("annotations"):
        return True
    return bool(stated["digest"] == here["digest"])


def _of_settings(root: Path, declared: Declaration, stated: Provenance) -> Iterator[str]:
    values = declaration.values(root, declared)
    watched = {n: values[declaration.PARAMS][n] for n in declared.watched[declaration.PARAMS]}
    for name, value in blocks.without(watched).items():
        if not declaration.same(value, stated.params.get(name)):
            yield f"{name} of params.yaml changed since it was built"
    for key, version in values[declaration.TOOLCHAIN].items():
        name = key.removeprefix("packages.")
        built_with = stated.packages.get(name, "an unknown version")
        if name != key and toolchain.public(built_with) != version:
            yield f"it was built with {name} {built_with}; toolchain.yaml has {version}"
