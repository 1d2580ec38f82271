"""digest: SHA-256 of a file, and of a folder as one number."""

import hashlib
from pathlib import Path

from lmspec.errors import LmspecError


def sha256(path: Path) -> str:
    """Of a file: of its bytes. Of a folder: of its files' `<sha256>  <path>` lines, sorted by path.

    The folder's number is what `find . -type f | sort | xargs sha256sum | sha256sum` prints with LC_ALL=C and paths
    without the leading `./`.
    """
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def require(path: Path, declared: str, what: str) -> None:
    """Raise LmspecError unless the SHA-256 of `path` is the declared one."""
    found = sha256(path)
    if found != declared:
        raise LmspecError(
            what,
            f"its SHA-256 is {found}, and the spec declares {declared}",
            "if the new content is what you want, put the new hash into params.yaml; if not, do not use it",
        )
