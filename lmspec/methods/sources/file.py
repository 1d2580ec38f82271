"""file: a file or folder of this repository."""

import os
import shutil
from pathlib import Path, PurePosixPath

from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.methods.sources import digest
from lmspec.specs.sources import FileSource


def fetch(spec: FileSource, root: Path, out: Path) -> None:
    """Copy it, after its hash is checked: a file under its own name, a folder as its content."""
    top, path = Path(os.path.realpath(root)), Path(os.path.realpath(root / spec.path))
    _require_inside(path, top, spec.path)
    if not path.exists():
        raise LmspecError(
            spec.path, "there is no such file or folder", "correct `path`, or add the file"
        )
    # `path` may be the target of a link
    own_name = PurePosixPath(spec.path).name
    files = folders.files(path) if path.is_dir() else [(own_name, path)]
    for name, file in files:
        _require_inside(Path(os.path.realpath(file)), top, f"{spec.path}/{name}")
    digest.require(path, spec.sha256, spec.path)
    for name, file in files:  # content alone: DVC keeps neither modes nor empty folders
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, out / name)


def _require_inside(path: Path, top: Path, name: str) -> None:
    if not path.is_relative_to(top):
        raise LmspecError(
            name,
            "it is outside the repository",
            "copy it into the repository, or use `kind: url`",
        )
