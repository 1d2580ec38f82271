"""commits: the line of a branch along first parents, newest first, and what its commits hold, read through one pipe."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lmspec.compare import stale
from lmspec.compare.evidence import Evidence
from lmspec.compare.revision import FOLDERS, Revision, of_tree
from lmspec.git import command as git
from lmspec.git import tree as repository
from lmspec.git.tree import Objects

FORMAT = "--format=%H%x00%h%x00%P%x00%cI%x00%an%x00%s"


@dataclass(frozen=True)
class Commit:
    """hash: in full; short: as git shortens it; parents: several of a merge; date: when it was committed, ISO 8601."""

    hash: str
    short: str
    parents: tuple[str, ...]
    date: str
    author: str
    subject: str

    @property
    def day(self) -> str:
        """`2031-05-04`."""
        return self.date[:10]


def line(tip: str, root: Path, since: str | None = None) -> list[Commit]:
    """From a commit back along first parents. since: without the commits that this one holds.

    Raises LmspecError if git does not know them.
    """
    return _listed(
        root, "--first-parent", repository.commit_of(tip, root), *([f"^{since}"] if since else [])
    )


def brought(merge: Commit, root: Path) -> list[Commit]:
    """The commits of the branches that a merge brought in, newest first; empty if it is none."""
    if len(merge.parents) < 2:
        return []
    return [
        commit
        for commit in _listed(root, merge.hash, f"^{merge.parents[0]}")
        if commit.hash != merge.hash
    ]


def touching(tip: Commit, path: str, root: Path) -> list[str]:
    """Hashes of the commits of the line at which a file, or one of a folder, is another than at the first parent."""
    return git.text(root, "rev-list", "--first-parent", tip.hash, "--", f":(literal){path}").split()


def holds(later: str, earlier: str, root: Path) -> bool:
    """Is the one an ancestor of the other?"""
    return git.run(root, "merge-base", "--is-ancestor", earlier, later).returncode == 0


def cut_off(oldest: Commit, root: Path) -> bool:
    """Does the history of a shallow clone end at this commit, and the project's own goes on?"""
    path = root / git.text(root, "rev-parse", "--git-path", "shallow").strip()
    return (
        path.is_file() and oldest.hash in path.read_text(encoding="ascii", errors="replace").split()
    )


def unchecked(count: int) -> Iterator[str]:
    """What is to be said of commits that have no dvc.lock, of whose metrics nobody can tell whether they are stale."""
    if count:
        yield f"{count} of these commits have no dvc.lock: whether their metrics are of their spec was not checked"


def _listed(root: Path, *which: str) -> list[Commit]:
    found = []
    for row in git.text(root, "rev-list", "--encoding=UTF-8", FORMAT, *which, "--").split("\n"):
        if "\0" in row:  # before each stands a line `commit HASH`
            full, short, parents, date, author, subject = row.split("\0", 5)
            found.append(Commit(full, short, tuple(parents.split()), date, author, subject))
    return found


class Files:
    """What commits hold. One `git cat-file` serves all of them; leaving the block ends it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects: Objects | None = None
        self._revisions: dict[str, Revision] = {}
        self._stale: dict[str, dict[str, str]] = {}

    def __enter__(self) -> "Files":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._objects is not None:
            self._objects.close()

    def revision(self, commit: Commit) -> Revision:
        """The files of a commit, under its short hash."""
        if self._objects is None:
            self._objects = Objects(self.root)
        if commit.hash not in self._revisions:
            tree = repository.of_commit(
                commit.short, commit.hash, self.root, FOLDERS, self._objects
            )
            self._revisions[commit.hash] = of_tree(tree)
        return self._revisions[commit.hash]

    def stale(self, commit: Commit) -> dict[str, str]:
        """Artifact -> why the commit's metrics are not what its own spec would build."""
        revision = self.revision(commit)
        files = hashlib.sha256(repr(sorted(revision.tree.ids.items())).encode()).hexdigest()
        if files not in self._stale:
            self._stale[files] = stale.artifacts(revision)
            vars(revision).pop("lock", None)  # a few MB
        return self._stale[files]

    def forget(self) -> None:
        """Let go of tables and draws, which are kept as long as a command that compares two: hundreds would fill the memory."""
        for kept in (*vars(Evidence).values(), *vars(Revision).values()):
            clear = getattr(kept, "cache_clear", None)
            if clear is not None:
                clear()
