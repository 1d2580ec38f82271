"""inputs: the files that a stage is made from, and whether they changed while it was built."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lmspec.methods import folders
from lmspec.run import declaration, provenance
from lmspec.run.declaration import Declaration


class Mark(NamedTuple):
    """Metadata of a file. An edit changes one of the first three, unless its time is restored."""

    size: int
    modified_ns: int
    inode: int
    changed_ns: int


class Inputs(NamedTuple):
    """Inputs at one moment. values: file -> name -> value of the parameters."""

    marks: Mapping[str, Mark]
    entries: Sequence[provenance.Entry]
    values: Mapping[str, Mapping[str, Any]]


def files(root: Path, declared: Declaration) -> Iterator[Path]:
    """Every file that it depends on."""
    for dep in declared.deps:
        place = root / dep
        yield from (file for _, file in folders.files(place)) if place.is_dir() else [place]


def marks(root: Path, declared: Declaration) -> dict[str, Mark]:
    """Path -> mark of every file that it depends on."""
    stats = {os.path.relpath(file, root): file.stat() for file in files(root, declared)}
    return {
        path: Mark(stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns)
        for path, stat in stats.items()
    }


def entries(root: Path, declared: Declaration) -> list[provenance.Entry]:
    """Each dependency with its digest."""
    return [provenance.of_path(root / dep, dep) for dep in declared.deps]


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


def _edited(before: Mark | None, after: Mark | None) -> bool:
    return before is None or after is None or before[:3] != after[:3]
