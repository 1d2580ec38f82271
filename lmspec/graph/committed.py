"""committed: what git has of the results of a build, and what the build gives."""

import subprocess
from pathlib import Path

from lmspec.errors import LmspecError

RESULTS = ("dvc.lock", "data/metrics", "data/records")


def differing(root: Path) -> list[str]:
    """Files of results that are not as the last commit has them: changed, new or gone. Paths from the project's root.

    Raises LmspecError outside of a git repository.
    """
    prefix = _git(root, "rev-parse", "--show-prefix").strip()  # git tells paths from the top of the repository
    found = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--", *RESULTS)
    return sorted(entry[3:].removeprefix(prefix) for entry in found.split("\0") if entry)


def default_base(root: Path) -> str:
    """The branch that changes go to: what `origin/HEAD` points at, as `git clone` sets it, else `main`."""
    try:
        return _git(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").strip()
    except LmspecError:
        return "main"


def _git(root: Path, *arguments: str) -> str:
    try:
        run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise LmspecError("git", "it is not installed", "install git: what is committed is what it keeps") from None
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip() or f"`git {arguments[0]}` failed"
        raise LmspecError("git", said, "run lmspec in the git repository of the project")
    return run.stdout.decode(errors="surrogateescape")
