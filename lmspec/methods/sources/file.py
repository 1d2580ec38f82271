"""file: a file or folder of this repository."""

import shutil
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.methods.sources import digest
from lmspec.specs.sources import FileSource


def fetch(spec: FileSource, root: Path, out: Path) -> None:
    """Copy it, after its hash is checked: a file under its own name, a folder as its content."""
    path = (root / spec.path).resolve()
    if not path.is_relative_to(root.resolve()):
        raise LmspecError(spec.path, "it lies outside the repository", "copy it into the repository, or use `kind: url`")
    if not path.exists():
        raise LmspecError(spec.path, "there is no such file or folder", "correct `path`, or add the file")
    digest.require(path, spec.sha256, spec.path)
    if path.is_dir():
        shutil.copytree(path, out, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, out / path.name)
