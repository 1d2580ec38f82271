"""file: a file or folder of this repository."""

import shutil
from pathlib import Path, PurePosixPath

from lmspec.errors import LmspecError
from lmspec.methods.sources import digest
from lmspec.specs.sources import FileSource


def fetch(spec: FileSource, root: Path, out: Path) -> None:
    """Copy it, after its hash is checked: a file under its own name, a folder as its content."""
    path = (root / spec.path).resolve()
    if not path.is_relative_to(root.resolve()):
        raise LmspecError(
            spec.path,
            "it is outside the repository",
            "copy it into the repository, or use `kind: url`",
        )
    if not path.exists():
        raise LmspecError(
            spec.path, "there is no such file or folder", "correct `path`, or add the file"
        )
    links = sorted(
        p.relative_to(path).as_posix()
        for p in path.rglob("*")
        if p.is_symlink() and not p.is_file()
    )
    if links:  # the hash does not cover a linked folder's content
        raise LmspecError(
            spec.path,
            f"its '{links[0]}' is a link, and not to a file",
            "put what it leads to in its place",
        )
    digest.require(path, spec.sha256, spec.path)
    if path.is_dir():
        shutil.copytree(path, out, dirs_exist_ok=True)
    else:
        shutil.copyfile(
            path, out / PurePosixPath(spec.path).name
        )  # `path` may be the target of a link
