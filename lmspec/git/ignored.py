"""ignored: files that git would leave out of a commit, and the pattern that says so."""

import os
from collections.abc import Sequence
from pathlib import Path

from lmspec.git import command as git

FIELDS = 4  # of `git check-ignore -v -z`: the file of the pattern, its line, the pattern, the path


def patterns(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Path -> `.gitignore:1: *.csv`, of those that git ignores and does not track yet.

    Paths are relative to root, and need not exist. Empty outside a repository, and without git.
    Raises LmspecError if git fails.
    """
    if git.repository_above(root) is None:
        return {}
    given = "".join(f"./{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    question = ("check-ignore", "--verbose", "-z", "--stdin")
    try:
        answer = git.run(root, *question, answers=(0, 1), given=given)
    except (git.NoRepository, git.NotInstalled):
        return {}
    fields = answer.stdout.decode("utf-8", "surrogateescape").split("\0")
    rows = list(zip(*(fields[i::FIELDS] for i in range(FIELDS)), strict=False))
    top = Path(git.text(root, "rev-parse", "--show-toplevel").removesuffix("\n") if rows else "")
    return {
        path.removeprefix("./"): f"{_shown(top / file, root)}:{line}: {pattern}"
        for file, line, pattern, path in rows
        if not pattern.startswith("!")
    }


def _shown(file: Path, root: Path) -> str:
    """Relative where that is short."""
    relative = os.path.relpath(file, root.resolve())
    return str(file) if relative.startswith("../../..") else relative
