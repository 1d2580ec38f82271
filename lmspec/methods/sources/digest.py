"""digest: SHA-256 of a file or folder, held against the declared one."""

import hashlib
from pathlib import Path

from lmspec.errors import LmspecError


def sha256(path: Path) -> str:
    """Of a file's bytes, or of a folder's `<sha256>  <path>` lines, sorted by path.

    For a folder: `find . -type f | sort | xargs sha256sum | sha256sum` prints the same, with
    LC_ALL=C and paths without the leading `./`.
    """
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def require(path: Path, declared: str, what: str) -> None:
    """Raise LmspecError unless the SHA-256 of `path` is the declared one."""
    actual = sha256(path)
    if actual != declared:
        raise mismatch(what, actual, declared)


def mismatch(what: str, actual: str, declared: str) -> LmspecError:
    """What a user sees of a source whose content is not the declared one."""
    return LmspecError(
        what,
        f"its SHA-256 is {actual}, and the spec declares {declared}",
        "if you want the new content, put its hash into params.yaml; if not, do not use it",
    )
