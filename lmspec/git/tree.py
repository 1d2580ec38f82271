"""tree: the files of a commit or of the working tree, read through git: no cache, no network."""

import functools
import hashlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.git import command as git

WORKTREE = "worktree"
LARGEST_BYTES = 256 * 2**20  # of one file; no metric is larger
Ids = dict[str, str]  # path from the root of the project -> git's hash of the content


@dataclass
class Tree:
    """The files of one revision.

    name        as the user gave it, or the merge base that it stands for
    commit      its full hash; None for the working tree
    submodules  paths whose content is in another repository
    """

    name: str
    commit: str | None
    root: Path
    ids: Ids
    _objects: "Objects | None" = field(default=None, repr=False)
    submodules: tuple[str, ...] = ()

    def read(self, path: str) -> bytes | None:
        """The content of a file; None if there is none. Raises LmspecError if it is too large."""
        if path not in self.ids:
            return None
        if self._objects is not None:
            return self._objects.read(self.ids[path], f"{self.name}:{path}")
        file = self.root / path
        _require_small(path, file.stat().st_size)
        return file.read_bytes()

    def text(self, path: str) -> str | None:
        """The same as UTF-8, with U+FFFD for invalid bytes."""
        content = self.read(path)
        return None if content is None else content.decode("utf-8", "replace")

    def close(self) -> None:
        """Nothing more will be read."""
        if self._objects is not None:
            self._objects.close()


class Objects:
    """One `git cat-file --batch` for everything that is read; after an error another."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @functools.cached_property
    def process(self) -> "subprocess.Popen[bytes]":
        """Started when something is read."""
        pipe = subprocess.PIPE
        command = ["git", "cat-file", "--batch"]
        return subprocess.Popen(
            command, cwd=self.root, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )

    def read(self, name: str, place: str) -> bytes:
        """The content of an object. Raises LmspecError if git cannot give it; then read others."""
        pipe_in, pipe_out = self.process.stdin, self.process.stdout
        assert pipe_in is not None and pipe_out is not None
        try:
            pipe_in.write(f"{name}\n".encode())
            pipe_in.flush()
        except BrokenPipeError:
            self.close()
            raise LmspecError(
                place,
                "git ended before it was read",
                "run it again; `git fsck` shows what is missing",
            ) from None
        header = pipe_out.readline().split()
        if len(header) != 3:
            remedy = "in a partial clone `git fetch --refetch`, or clone it whole"
            raise LmspecError(place, "git does not have its content", remedy)
        size = int(header[2])
        try:
            _require_small(place, size)
        except LmspecError:
            self.close()  # instead of reading to its end
            raise
        content = pipe_out.read(size)
        pipe_out.read(1)  # a newline
        return content

    def close(self) -> None:
        """End the process."""
        if process := vars(self).pop("process", None):
            process.kill()
            process.communicate()


def _require_small(place: str, size: int) -> None:
    if size > LARGEST_BYTES:
        found = f"it has {size:,} bytes, and a metric may have {LARGEST_BYTES:,}"
        raise LmspecError(place, found, "keep data in DVC's cache")


def baseline_and_candidate(first: str, second: str | None, root: Path) -> tuple[str, str]:
    """The two revisions of a command line: `A B`, `A`, `A..B`, `A...B`, `A...` or `A... B`.

    Without B it is the working tree; three dots stand for the merge base.
    """
    span = re.fullmatch(r"(.*?)(\.\.\.?)(.*)", f"{first}{second or ''}")
    if span is None or (second is not None and not first.endswith("...")):
        return first, second or WORKTREE
    left, dots, right = span.groups()
    if dots == "..":
        return left or "HEAD", right or "HEAD"
    tip = "HEAD" if right in ("", WORKTREE) else right
    return merge_base(left or "HEAD", tip, root), right or WORKTREE


def merge_base(first: str, second: str, root: Path) -> str:
    """The last commit that two branches share. Raises LmspecError if there is none."""
    commits = [commit_of(name, root) for name in (first, second)]
    process = git.run(root, "merge-base", *commits)
    if process.returncode:
        fetch = "fetch more: `git fetch --unshallow`"
        remedy = fetch if _shallow(root) else "name a branch that it came from"
        raise LmspecError(f"{first}...{second}", "they have no commit in common", remedy)
    return process.stdout.decode().strip()


def commit_of(name: str, root: Path) -> str:
    """The hash of a branch, tag or commit. Raises LmspecError with the reason if there is none."""
    reference = f"{name}^{{commit}}"
    process = git.run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", reference)
    if not process.returncode:
        return process.stdout.decode().strip()
    repository = git.run(root, "rev-parse", "--git-dir")
    place, found = name, "there is no such commit"
    remedy = "name a branch, a tag or a commit: `git log --oneline` lists some"
    if b"dubious ownership" in repository.stderr:  # as in a container that runs as another user
        place, found = str(root), "git refuses a repository that belongs to another user"
        remedy = f"if you trust it: `git config --global --add safe.directory {root}`"
    elif repository.returncode:
        place, found = str(root), "it is in no git repository"
        remedy = "`git init`, and commit what you have built"
    elif not has_commit(root):
        found = "the repository has no commit yet"
        remedy = "commit what you have built: `git add -A && git commit`"
    elif _shallow(root):
        remedy = "this clone is shallow: `git fetch --unshallow` gets the missing commits"
    raise LmspecError(place, found, remedy)


def has_commit(root: Path) -> bool:
    """Is the root in a repository with a commit?"""
    return not git.run(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode


def tree(name: str, root: Path, folders: Sequence[str]) -> Tree:
    """The files of a branch, tag or commit, or of the working tree (`worktree`).

    folders  paths that will be read, relative to the root
    """
    if name == WORKTREE:
        return Tree(name, None, root, _files(root, folders), None, _submodules(root, folders))
    return of_commit(name, commit_of(name, root), root, folders)


def add(tree: Tree, paths: Sequence[str]) -> None:
    """Further paths that will be read; those outside the repository are skipped."""
    for path in paths:
        if tree.commit is None:
            tree.ids |= _files(tree.root, [path])
        else:
            process = git.run(tree.root, "ls-tree", "-r", "-z", tree.commit, "--", path)
            tree.ids |= _listed(process.stdout.decode("utf-8", "surrogateescape"))["blob"]


def of_commit(
    name: str, commit: str, root: Path, folders: Sequence[str], objects: Objects | None = None
) -> Tree:
    """The files of a commit, by its full hash. objects: a reader shared with other trees."""
    ids = _listed(git.text(root, "ls-tree", "-r", "-z", commit, "--", *folders))
    return Tree(name, commit, root, ids["blob"], objects or Objects(root), tuple(ids["commit"]))


def _listed(rows: str) -> dict[str, Ids]:
    """Kind -> path -> hash, from `git ls-tree -z`. A submodule is of kind `commit`."""
    ids: dict[str, Ids] = {"blob": {}, "commit": {}}
    for row in filter(None, rows.split("\0")):
        about, _, path = row.partition("\t")
        _, kind, content = about.split()
        ids[kind][path] = content
    return ids


def _submodules(root: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """Those of the working tree, by the index."""
    process = git.run(root, "ls-files", "--stage", "-z", "--", *folders)
    lines = process.stdout.decode("utf-8", "surrogateescape").split("\0")
    return tuple(line.partition("\t")[2] for line in lines if line.startswith("160000 "))


def _files(root: Path, folders: Sequence[str]) -> Ids:
    ids = {}
    for folder in folders:
        place = root / folder
        for file in [place] if place.is_file() else place.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                path = file.relative_to(root).as_posix()
                ids[path] = _id(file) if file.stat().st_size <= LARGEST_BYTES else "too large"
    return dict(sorted(ids.items()))


def _id(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _shallow(root: Path) -> bool:
    return git.run(root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
