"""kept: a cache of what commits determine, in the git folder, where no commit can put a file."""

import contextlib
import os
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.git import command as git

MOST = 200  # files; the oldest are removed


def read(root: Path, key: str) -> str | None:
    """What was kept under a key; None if nothing was."""
    folder = _folder(root)
    try:
        return (folder / key).read_text(encoding="utf-8") if folder else None
    except (OSError, UnicodeDecodeError):
        return None


def write(root: Path, key: str, text: str) -> None:
    """Keep a text, whole or not at all. Does nothing if the repository cannot be written."""
    folder = _folder(root)
    with contextlib.suppress(OSError):
        if folder is None:
            return
        folder.mkdir(exist_ok=True)
        partial = folder / f".{key}.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / key)
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST]:
            file.unlink(missing_ok=True)


def _folder(root: Path) -> Path | None:
    with contextlib.suppress(LmspecError):
        return root / git.text(root, "rev-parse", "--git-common-dir").removesuffix("\n") / "lmspec"
    return None
