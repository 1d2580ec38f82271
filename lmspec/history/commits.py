"""commits: the first-parent history of a branch, and the files of its commits."""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lmspec.compare import out_of_date
from lmspec.compare.revision import FOLDERS, Revision, of_tree
from lmspec.git import command as git
from lmspec.git import tree
from lmspec.git.tree import Objects, Tree

FORMAT = "--format=%H%x00%h%x00%P%x00%cI%x00%an%x00%s"
RECENT = 4  # revisions kept in memory, with their tables and dvc.lock: several MB each


@dataclass(frozen=True)
class Commit:
    """hash: in full; short: as git abbreviates it; parents: two or more for a merge; date: ISO."""

    hash: str
    short: str
    parents: tuple[str, ...]
    date: str
    author: str
    subject: str

    @property
    def day(self) -> str:
        """`2031-05-04`, of the commit, not of its author."""
        return self.date[:10]


def line(tip: str, root: Path, since: str | None = None) -> list[Commit]:
    """First-parent history of a commit, newest first. since: excludes the history of this commit.

    Raises LmspecError if git knows no such commit.
    """
    excluded = [f"^{since}"] if since else []
    return _listed(root, "--first-parent", tree.commit_of(tip, root), *excluded)


def merged(merge: Commit, root: Path) -> list[Commit]:
    """Commits that a merge brought in, newest first; empty for any other commit."""
    if len(merge.parents) < 2:
        return []
    return _listed(root, merge.hash, f"^{merge.parents[0]}")[1:]  # the first is the merge itself


def touching(tip: Commit, path: str, root: Path) -> list[str]:
    """Hashes of the first-parent commits that changed a file, or any file of a folder."""
    return git.text(root, "rev-list", "--first-parent", tip.hash, "--", path).split()


def is_ancestor(earlier: str, later: str, root: Path) -> bool:
    """Is one commit in the history of another?"""
    asked = ("merge-base", "--is-ancestor", earlier, later)
    return git.run(root, *asked, answers=(0, 1)).returncode == 0


def cut_off(oldest: Commit, root: Path) -> Iterator[str]:
    """A note if the history ends at this commit only because the clone is shallow."""
    path = root / git.text(root, "rev-parse", "--git-path", "shallow").strip()
    if path.is_file() and oldest.hash in path.read_text("ascii", "replace").split():
        yield (
            f"this clone is shallow and ends at {oldest.short}: "
            "`git fetch --unshallow` gets the older commits"
        )


def unchecked(count: int) -> Iterator[str]:
    """A note if commits have no dvc.lock, without which out-of-date metrics go unnoticed."""
    if count:
        yield (
            f"{count} of these commits have no dvc.lock, "
            "so whether their metrics are out of date was not checked"
        )


def _listed(root: Path, *revisions: str) -> list[Commit]:
    commits = []
    rows = git.text(root, "rev-list", "--encoding=UTF-8", FORMAT, *revisions, "--").split("\n")
    for row in rows:
        if "\0" in row:  # git precedes each row by a line `commit HASH`
            full, short, parents, date, author, subject = row.split("\0", 5)
            commits.append(Commit(full, short, tuple(parents.split()), date, author, subject))
    return commits


class Files:
    """The files of commits, all read by one `git cat-file`; leaving the block ends it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = Objects(root)
        self._tree = functools.cache(self._read)
        # named by its short hash
        self.revision = functools.lru_cache(RECENT)(lambda commit: Revision(self._tree(commit)))
        self._reasons: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._objects.close()

    def _read(self, commit: Commit) -> Tree:
        files = tree.of_commit(commit.short, commit.hash, self.root, FOLDERS, self._objects)
        return of_tree(files).tree

    def out_of_date(self, commit: Commit) -> dict[str, str]:
        """Artifact -> why its metrics are out of date: they are not of the commit's own spec."""
        revision = self.revision(commit)
        files = hashlib.sha256(repr(sorted(revision.tree.ids.items())).encode()).hexdigest()
        if files not in self._reasons:
            self._reasons[files] = out_of_date.artifacts(revision)
        return self._reasons[files]
