"""digest: SHA-256 of a file or folder, held against the declared one."""

import hashlib
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.methods.folders import sha256

POINTER = b"version https://git-lfs.github.com/spec/"
MOST_CONVERTED = 64 * 2**20  # bytes that are hashed again with other line endings


def require(path: Path, declared: str, what: str) -> None:
    """Raise LmspecError unless the SHA-256 of `path` is the declared one."""
    actual = sha256(path)
    if actual != declared:
        raise changed_by_git(path, declared, what) or mismatch(what, actual, declared)


def mismatch(what: str, actual: str, declared: str) -> LmspecError:
    """What a user sees of a source whose content is not the declared one."""
    return LmspecError(
        what,
        f"its SHA-256 is {actual}, and the spec declares {declared}",
        "if you want the new content, put its hash into params.yaml; if not, do not use it",
    )


def changed_by_git(path: Path, declared: str, what: str) -> LmspecError | None:
    """The error for a file that git changed on its way here; another hash would be wrong then."""
    if not path.is_file() or path.stat().st_size > MOST_CONVERTED:
        return None
    content = path.read_bytes()
    if content.startswith(POINTER):
        return LmspecError(what, "it is a pointer of Git LFS, not the file", "run `git lfs pull`")
    lines = content.replace(b"\r\n", b"\n")
    for ends, other in (("LF", lines.replace(b"\n", b"\r\n")), ("CRLF", lines)):
        if other != content and hashlib.sha256(other).hexdigest() == declared:
            return LmspecError(
                what,
                f"git changed its line endings to {ends}: with others it has the declared hash",
                f"where it is as it should be, add `/{what} -text` to .gitattributes, then "
                "`git add --renormalize .`, and commit; params.yaml is right",
            )
    return None
