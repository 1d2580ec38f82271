"""inputs: the files that a stage is made from, and whether they held still while it was."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lmspec.run import declaration, provenance
from lmspec.run.declaration import Stage


class Mark(NamedTuple):
    """What the file system says of a file. An edit changes one of the first three, unless someone restores its time."""

    size: int
    modified_ns: int
    inode: int
    changed_ns: int


class Inputs(NamedTuple):
    """Inputs at one moment. values: file -> name -> value of the parameters."""

    marks: dict[str, Mark]
    entries: list[provenance.Entry]
    values: dict[str, dict[str, Any]]


def files(root: Path, stage: Stage) -> Iterator[Path]:
    """All that it is made from."""
    for dep in stage.deps:
        yield from provenance.files(root / dep) if (root / dep).is_dir() else [root / dep]


def marks(root: Path, stage: Stage) -> dict[str, Mark]:
    """Path -> mark of all that it is made from."""
    found = {}
    for file in files(root, stage):
        about = file.stat()
        found[os.path.relpath(file, root)] = Mark(
            about.st_size, about.st_mtime_ns, about.st_ino, about.st_ctime_ns
        )
    return found


def entries(root: Path, stage: Stage) -> list[provenance.Entry]:
    """Each input with its digest."""
    return [provenance.of_path(root / dep, dep) for dep in stage.deps]


def moved(root: Path, stage: Stage, before: Inputs) -> list[str]:
    """Names of what is not as it was; parameters count with their types, which DVC does not see."""
    missing = [dep for dep in stage.deps if not (root / dep).exists()]
    if missing:
        return missing
    after = marks(root, stage)
    found = sorted(
        path for path in {*before.marks, *after} if _edited(before.marks.get(path), after.get(path))
    )
    touched = sorted(path for path in after if before.marks.get(path) != after[path])
    if touched and not found and entries(root, stage) != before.entries:
        found = touched  # a restored time; a new link or right would have left the content alone
    now = declaration.values(root, stage)
    for file, names in stage.watched.items():
        found += [
            f"{file}: {name}"
            for name in names
            if not declaration.same(now[file][name], before.values[file][name])
        ]
    return found


def _edited(one: Mark | None, other: Mark | None) -> bool:
    return one is None or other is None or one[:3] != other[:3]
