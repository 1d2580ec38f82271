"""edits: what changed in a code file since a stage's last run."""

import contextlib
import functools
import hashlib
import shutil
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.git import command as git
from lmspec.git import tree
from lmspec.pipeline import codediff

LAYOUT = "only comments or layout"
REMEMBERED = Path(".lmspec/code")
COMMITS = 50  # how far back to look for the text of a file


@functools.cache
def described(root: Path, path: str, md5: str) -> str:
    """What changed in a file since it had that MD5: LAYOUT, or the names of definitions."""
    try:
        before = _text_then(root, path, md5)
    except LmspecError as error:  # a missing description must not fail a plan
        return f"what changed is not known: {error.found}"
    if before is None:
        return "no commit has it as it was at the last run"
    try:
        names = codediff.changed(before, (root / path).read_bytes())
    except SyntaxError as error:
        place = f"{path}:{error.lineno}"
        raise LmspecError(place, f"it does not parse: {error.msg}", "correct it") from None
    except ValueError as error:
        raise LmspecError(str(path), f"it does not parse: {error}", "correct it") from None
    return f"changed {', '.join(names)}" if names else LAYOUT


def _text_then(root: Path, path: str, md5: str) -> bytes | None:
    """The content of a file when it had that MD5, as remembered or from its commits."""
    remembered = root / REMEMBERED / md5
    if remembered.exists():
        return remembered.read_bytes()
    if shutil.which("git") is None:  # DVC works without it
        return None
    if not tree.has_commit(root):
        return None
    commits = git.text(root, "log", f"--max-count={COMMITS}", "--format=%H", "--", path)
    with contextlib.closing(tree.Objects(root)) as objects:
        for commit in commits.split():
            ids = tree.of_commit(commit, commit, root, [path], objects).ids
            content = objects.read(ids[path], f"{commit}:{path}") if path in ids else b""
            if _md5(content) == md5:
                return content
    return None


def remember(root: Path, path: str) -> None:
    """Keep the text of a file that may be in no commit yet."""
    content = (root / path).read_bytes()
    (root / REMEMBERED).mkdir(parents=True, exist_ok=True)
    (root / REMEMBERED / _md5(content)).write_bytes(content)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
