"""keep: which outputs an edit of code cannot have changed: those of stages whose parsed code is what it was."""

import functools
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.formats.lockfile import NEVER, Run
from lmspec.git import command as git
from lmspec.pipeline import codediff, dvc

LAYOUT = "only comments or layout"
REMEMBERED = Path(".lmspec/code")
COMMITS = 50  # how far back the text of a file is looked for


@dataclass(frozen=True)
class Verdict:
    """One stage that is not up to date. reasons: why it cannot be kept; empty if it can."""

    stage: str
    reasons: tuple[str, ...]


def verdicts(root: Path) -> tuple[dict[str, str], list[Verdict]]:
    """(file of code -> what its edit changed, one verdict for each stage that is not up to date)."""
    runs = lockfile.runs(lockfile.text_in(root))
    files: dict[tuple[str, str], str] = {}
    found = []
    for stage, changes in dvc.status(root).items():
        run = runs.get(stage, NEVER)
        reasons = tuple(_reasons(root, run, changes, files))
        found.append(Verdict(stage, reasons if stage in runs else ("it has never run",)))
    return {path: said for (path, _), said in files.items()}, found


def _reasons(
    root: Path, run: Run, changes: list[Any], files: dict[tuple[str, str], str]
) -> Iterator[str]:
    texts = frozenset().union(
        *(_read_as_text(root, path) for path in run.deps if path.endswith(".py"))
    )
    for change in changes:
        if not isinstance(change, dict):
            yield str(change)
            continue
        for kind, entries in change.items():
            for path, state in entries.items():
                if kind != "changed deps" or state != "modified" or not path.endswith(".py"):
                    yield f"{path} {state if isinstance(state, str) else 'changed'}"
                    continue
                said = files.setdefault(
                    (path, run.deps.get(path, "")), edit(root, path, run.deps.get(path, ""))
                )
                if said != LAYOUT:
                    yield f"{path}: {said}"
                elif "*" in texts or Path(path).stem in texts:
                    yield f"{path}: its text is part of the output"


@functools.cache
def edit(root: Path, path: str, md5: str) -> str:
    """What the code of a file differs in from what it was when it had that MD5, in words."""
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
    """The text that a file had when it had that MD5: from what was remembered, or the commits that touched it.

    None if none of them has it.
    """
    remembered = root / REMEMBERED / md5
    if remembered.exists():
        return remembered.read_text(encoding="utf-8")
    if shutil.which("git") is None:  # DVC can do without
        return None
    commits = git.run(root, "log", f"--max-count={COMMITS}", "--format=%H", "--", path).stdout
    for commit in commits.decode().split():
        content = git.run(root, "show", f"{commit}:./{path}").stdout
        if _md5(content) == md5:
            return content.decode("utf-8", "replace")
    return None


def remember(root: Path, path: str) -> None:
    """Keep the text of a file under its MD5, for one that is in no commit yet."""
    content = (root / path).read_bytes()
    folder = root / REMEMBERED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _md5(content)).write_bytes(content)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
