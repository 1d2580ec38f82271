"""inputs: the files that a stage is made from, and whether they changed while it was built."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.run import declaration, provenance
from lmspec.run.declaration import Declaration
from lmspec.run.digests import Identity
from lmspec.specs.names import ArtifactName


class Inputs(NamedTuple):
    """Inputs at one moment.

    entries  of what other stages made; of every dependency once `entries` has added the rest
    values   file -> name -> value of the parameters
    """

    marks: Mapping[str, Identity]
    entries: Sequence[provenance.Entry]
    values: Mapping[str, Mapping[str, Any]]


def files(root: Path, declared: Declaration) -> Iterator[Path]:
    """Every file that it depends on."""
    for dep in declared.deps:
        place = root / dep
        yield from (file for _, file in folders.files(place)) if place.is_dir() else [place]


def marks(root: Path, declared: Declaration) -> dict[str, Identity]:
    """Path -> identity of every file that it depends on."""
    return {os.path.relpath(file, root): Identity.of(file.stat()) for file in files(root, declared)}


def entries(
    root: Path, declared: Declaration, known: Sequence[provenance.Entry] = ()
) -> list[provenance.Entry]:
    """Each dependency with its digest. known: entries that need no hashing."""
    by_name = {entry["name"]: entry for entry in known}
    return [by_name.get(dep) or provenance.of_path(root / dep, dep) for dep in declared.deps]


def as_made(root: Path, declared: Declaration, hasher: folders.Hasher) -> list[provenance.Entry]:
    """Entries of what other stages made.

    Raises LmspecError if one is not what its maker's provenance says. DVC does not see that if an
    object of its cache is damaged: it takes the name for the hash.
    """
    held = []
    for output, maker in declared.made.items():
        entry = provenance.of_path(root / output, output, hasher)
        if entry["digest"] != _stated(root, output, maker):
            found = f"it is not what {maker.stage} built, by {maker.provenance}"
            remedy = (
                f"`lmspec verify --cache` says what is damaged and how it comes back; "
                f"then `dvc repro {declared.stage}`"
            )
            raise LmspecError(output, found, remedy)
        held.append(entry)
    return held


def _stated(root: Path, output: str, maker: ArtifactName) -> Mapping[str, str]:
    """The digest of an output in its maker's provenance. Raises LmspecError if it has none."""
    path = root / maker.provenance
    stated = provenance.read(path.read_bytes() if path.is_file() else None)
    digest = stated.outputs.get(output, {}).get("digest") if stated else None
    if not isinstance(digest, dict) or not digest:
        found = f"missing or malformed, so {output} cannot be compared with what was built"
        remedy = f"`git checkout {maker.provenance}`, or else `dvc repro {maker.stage}`"
        raise LmspecError(maker.provenance, found, remedy)
    return digest


def changed(root: Path, declared: Declaration, before: Inputs) -> list[str]:
    """Names of the inputs that changed; 1 that became true counts, which DVC does not see."""
    missing = [dep for dep in declared.deps if not (root / dep).exists()]
    if missing:
        return missing
    after = marks(root, declared)
    paths = sorted({*before.marks, *after})
    names = [path for path in paths if _edited(before.marks.get(path), after.get(path))]
    touched = sorted(path for path in after if before.marks.get(path) != after[path])
    # only the change time differs: a restored modification time, or a new link or mode
    if touched and not names and entries(root, declared) != before.entries:
        names = touched
    now = declaration.values(root, declared)
    return names + [
        f"{file}: {name}"
        for file, parameters in declared.watched.items()
        for name in parameters
        if not declaration.same(now[file][name], before.values[file][name])
    ]


def _edited(before: Identity | None, after: Identity | None) -> bool:
    """An edit changes more than the change time, unless its modification time is restored."""
    return before is None or after is None or before[:-1] != after[:-1]
