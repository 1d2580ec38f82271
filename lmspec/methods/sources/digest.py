"""digest: SHA-256 of a file or folder, held against the declared one."""

from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.methods.folders import sha256


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
