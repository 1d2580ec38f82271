"""keep: outputs that an edit of code cannot have changed, as the AST is the same."""

import functools
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.formats.lockfile import NEVER, Run
from lmspec.git import command as git
from lmspec.pipeline import codediff, dvc

LAYOUT = "only comments or layout"
REMEMBERED = Path(".lmspec/code")
COMMITS = 50  # how far back to look for the text of a file


def check(root: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """(code file -> what its edit changed, stage out of date -> why it cannot be kept, if so)."""
    runs = lockfile.runs(lockfile.text_in(root))
    edits: dict[str, str] = {}
    stages = {}
    for stage, changes in dvc.status(root).items():
        reasons = list(_reasons(root, runs.get(stage, NEVER), changes, edits))
        stages[stage] = reasons if stage in runs else ["it has never run"]
    return edits, stages


def _reasons(root: Path, run: Run, changes: list[Any], edits: dict[str, str]) -> Iterator[str]:
    """Why the run's outputs may change. Adds the files that it looks at to `edits`."""
    code = [path for path in run.deps if path.endswith(".py")]
    texts = frozenset[str]().union(*(_read_as_text(root, path) for path in code))
    for change in changes:
        if not isinstance(change, dict):
            yield str(change)
            continue
        for kind, entries in change.items():
            for path, state in entries.items():
                if kind != "changed deps" or state != "modified" or not path.endswith(".py"):
                    yield f"{path} {state if isinstance(state, str) else 'changed'}"
                    continue
                edits[path] = edit(root, path, run.deps.get(path, ""))
                if edits[path] != LAYOUT:
                    yield f"{path}: {edits[path]}"
                elif "*" in texts or Path(path).stem in texts:
                    yield f"{path}: its text is part of the output"


@functools.cache
def edit(root: Path, path: str, md5: str) -> str:
    """What changed in a code file since it had that MD5, in words."""
    before = _text_then(root, path, md5)
    if before is None:
        return "no commit has it as it was at the last run"
    try:
        names = codediff.changed(before, (root / path).read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise LmspecError(
            f"{path}:{error.lineno}", f"it does not parse: {error.msg}", "correct it"
        ) from None
    return f"changed {', '.join(names)}" if names else LAYOUT


@functools.cache
def _read_as_text(root: Path, path: str) -> frozenset[str]:
    try:
        return codediff.read_as_text((root / path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return frozenset("*")


def _text_then(root: Path, path: str, md5: str) -> str | None:
    """The text of a file when it had that MD5, as remembered or from its commits."""
    remembered = root / REMEMBERED / md5
    if remembered.exists():
        return remembered.read_text(encoding="utf-8")
    if shutil.which("git") is None:  # DVC works without it
        return None
    commits = git.run(root, "log", f"--max-count={COMMITS}", "--format=%H", "--", path).stdout
    for commit in commits.decode().split():
        content = git.run(root, "show", f"{commit}:./{path}").stdout
        if _md5(content) == md5:
            return content.decode("utf-8", "replace")
    return None


def keep(root: Path, stages: list[str], edits: dict[str, str]) -> None:
    """Record the stages as up to date, and remember code that is in no commit yet."""
    dvc.commit(root, stages)
    folder = root / REMEMBERED
    for path, change in edits.items():
        if change == LAYOUT:
            content = (root / path).read_bytes()
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _md5(content)).write_bytes(content)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
