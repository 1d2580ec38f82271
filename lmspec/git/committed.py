"""committed: what git has of the results of a build, and what the build gives."""

from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.git import command as git

RESULTS = ("dvc.lock", "data/metrics", "data/provenance")


def differing(root: Path) -> list[str]:
    """Files of results that are not as the last commit has them: changed, new or gone. Paths from the project's root.

    Raises LmspecError outside of a git repository.
    """
    prefix = git.text(
        root, "rev-parse", "--show-prefix"
    ).strip()  # git tells paths from the top of the repository
    found = git.text(
        root,
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--no-renames",
        "--",
        *RESULTS,
    )
    return sorted(entry[3:].removeprefix(prefix) for entry in found.split("\0") if entry)


def default_base(root: Path) -> str:
    """The branch that changes go to: what `origin/HEAD` points at, as `git clone` sets it, else `main`."""
    try:
        return git.text(
            root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"
        ).strip()
    except LmspecError:
        return "main"
