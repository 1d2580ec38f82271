"""committed: build results that differ from what git has committed."""

from pathlib import Path

from lmspec.formats import lockfile
from lmspec.git import command as git
from lmspec.git import tree
from lmspec.specs import names

RESULTS = (lockfile.NAME, names.METRICS, names.PROVENANCE)


def differing(root: Path) -> list[str]:
    """Result files that changed, appeared or disappeared since the last commit, from the root.

    Raises LmspecError outside a git repository.
    """
    prefix = git.prefix(root)  # git prints paths from the top of the repository
    entries = git.text(
        root,
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--no-renames",
        "--",
        *RESULTS,
    )
    changed = {entry[3:].removeprefix(prefix) for entry in entries.split("\0") if entry}
    return sorted(changed | _ignored(root))


def _ignored(root: Path) -> set[str]:
    """Results of builds that .gitignore keeps out of every commit."""
    listing = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *RESULTS[1:])
    hidden = set(git.text(root, *listing).split("\0")) - {""}
    if not hidden:
        return hidden
    runs = lockfile.runs(lockfile.text_in(root)).values()
    return hidden & {path for run in runs for path in run.outs}


def is_merged(base: str, root: Path) -> bool:
    """Does the base already have all commits of HEAD, so that HEAD is their merge base?"""
    return tree.merge_base(base, "HEAD", root) == tree.commit_of("HEAD", root)


def default_base(root: Path) -> str:
    """The branch that changes are merged into: origin's default branch, else `main`."""
    reference = "refs/remotes/origin/HEAD"  # set by `git clone`
    process = git.run(root, "symbolic-ref", "--quiet", "--short", reference, answers=(0, 1))
    return process.stdout.decode("utf-8", "surrogateescape").strip() or "main"
