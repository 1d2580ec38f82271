"""tree: the files of a commit, or of the working tree, read from git alone: no cache, no network."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.git import command as git

WORKTREE = "worktree"
LARGEST_BYTES = 256 * 2**20  # of one file: what is larger is no metric


@dataclass
class Tree:
    """The files of one side.

    name    as the user gave it, or the merge base that it stands for
    commit  its hash in full; None for the working tree
    ids     path from the root of the project -> name of the content as git has it
    others  paths of submodules: what they hold is in another repository
    """

    name: str
    commit: str | None
    root: Path
    ids: dict[str, str]
    _objects: "Objects | None" = field(default=None, repr=False)
    others: tuple[str, ...] = ()

    def read(self, path: str) -> bytes | None:
        """The content of a file; None if this side has none. Raises LmspecError for one that is too large to be a metric."""
        if path not in self.ids:
            return None
        if self._objects is not None:
            return self._objects.read(self.ids[path], f"{self.name}:{path}")
        size = (self.root / path).stat().st_size
        if size > LARGEST_BYTES:
            raise _too_large(path, size)
        return (self.root / path).read_bytes()

    def text(self, path: str) -> str | None:
        """The same, as UTF-8; what is not becomes U+FFFD."""
        content = self.read(path)
        return None if content is None else content.decode("utf-8", "replace")

    def close(self) -> None:
        """Nothing more will be read."""
        if self._objects is not None:
            self._objects.close()


class Objects:
    """One `git cat-file --batch` for all that is read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._begin()

    def _begin(self) -> None:
        self.process = subprocess.Popen(
            ["git", "cat-file", "--batch"],
            cwd=self.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def read(self, name: str, place: str) -> bytes:
        """The content of an object. Raises LmspecError if it cannot be had; others can be read after that."""
        pipe_in, pipe_out = self.process.stdin, self.process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError("it was started with pipes")
        try:
            pipe_in.write(f"{name}\n".encode())
            pipe_in.flush()
        except BrokenPipeError:
            self._begin_again()
            raise LmspecError(
                place,
                "git ended before it was read",
                "run it again; `git fsck` tells what git lacks",
            ) from None
        header = pipe_out.readline().split()
        if len(header) != 3:
            raise LmspecError(
                place,
                "git does not have its content",
                "a partial clone: `git fetch --refetch`, or clone it whole",
            )
        size = int(header[2])
        if size > LARGEST_BYTES:
            self._begin_again()  # the rest of it would have to be read first
            raise _too_large(place, size)
        content = pipe_out.read(size)
        pipe_out.read(1)
        return content

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _begin_again(self) -> None:
        self.close()
        self._begin()


def _too_large(place: str, size: int) -> LmspecError:
    return LmspecError(
        place,
        f"it has {size:,} bytes, and a metric may have {LARGEST_BYTES:,}",
        "keep data in DVC's cache",
    )


def sides(old: str, new: str | None, root: Path) -> tuple[str, str]:
    """What two arguments of the command line mean: `A B`, `A`, `A..B`, `A...B`, `A...`: with three dots the merge base."""
    if new is None and "..." in old:
        one, _, other = old.partition("...")
        return merge_base(one or "HEAD", other or "HEAD", root), other or WORKTREE
    if new is None and ".." in old:
        one, _, other = old.partition("..")
        return one or "HEAD", other or "HEAD"
    if old.endswith("..."):
        return merge_base(
            old.removesuffix("..."), "HEAD" if new == WORKTREE or new is None else new, root
        ), new or WORKTREE
    return old, new or WORKTREE


def merge_base(one: str, other: str, root: Path) -> str:
    """The commit at which two branches parted. Raises LmspecError if they have none in common."""
    commits = [commit_of(name, root) for name in (one, other)]
    run = git.run(root, "merge-base", *commits)
    if run.returncode:
        remedy = (
            "fetch more: `git fetch --unshallow`"
            if _shallow(root)
            else "name a branch that it came from"
        )
        raise LmspecError(f"{one}...{other}", "they have no commit in common", remedy)
    return run.stdout.decode().strip()


def commit_of(name: str, root: Path) -> str:
    """The hash of a branch, tag or commit. Raises LmspecError, and says why there is none."""
    run = git.run(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    if not run.returncode:
        return run.stdout.decode().strip()
    repository = git.run(root, "rev-parse", "--git-dir")
    if b"dubious ownership" in repository.stderr:  # as in a container that runs as another user
        remedy = f"if you trust it: `git config --global --add safe.directory {root}`"
        raise LmspecError(
            str(root), "git does not read a repository that belongs to another user", remedy
        )
    if repository.returncode:
        raise LmspecError(
            str(root), "it is in no git repository", "`git init`, and commit what you have built"
        )
    if git.run(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise LmspecError(
            name,
            "the repository has no commit yet",
            "commit what you have built: `git add -A && git commit`",
        )
    remedy = "name a branch, a tag or a commit: `git log --oneline` shows some"
    if _shallow(root):
        remedy = "this clone is shallow: `git fetch --unshallow` gets the commits that it lacks"
    raise LmspecError(name, "there is no such commit", remedy)


def has_commit(root: Path) -> bool:
    """Is the root in a repository with a commit?"""
    return not git.run(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode


def tree(name: str, root: Path, folders: tuple[str, ...]) -> Tree:
    """One side: a branch, tag or commit, or `worktree`.

    folders  paths that will be read, relative to the root
    """
    if name == WORKTREE:
        return Tree(name, None, root, _files(root, folders), None, _submodules(root, folders))
    return of_commit(name, commit_of(name, root), root, folders)


def add(tree: Tree, paths: Sequence[str]) -> None:
    """Further paths that will be read; what lies outside of the repository is not there."""
    for path in paths:
        if tree.commit is None:
            tree.ids |= _files(tree.root, [path])
        else:
            run = git.run(tree.root, "ls-tree", "-r", "-z", tree.commit, "--", path)
            tree.ids |= _listed(run.stdout.decode("utf-8", "surrogateescape"))["blob"]


def of_commit(
    name: str, commit: str, root: Path, folders: tuple[str, ...], objects: Objects | None = None
) -> Tree:
    """The same of a commit by its hash in full. objects: what reads them, if others are read by it too."""
    ids = _listed(git.text(root, "ls-tree", "-r", "-z", commit, "--", *folders))
    return Tree(name, commit, root, ids["blob"], objects or Objects(root), tuple(ids["commit"]))


def _listed(rows: str) -> dict[str, dict[str, str]]:
    """Kind -> path -> name of what git has there, as `git ls-tree -z` says it. A submodule is a commit."""
    ids: dict[str, dict[str, str]] = {"blob": {}, "commit": {}}
    for row in rows.split("\0"):
        about, _, path = row.partition("\t")
        if path:
            _, kind, content = about.split()
            ids[kind][path] = content
    return ids


def _submodules(root: Path, folders: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the working tree, by the index."""
    run = git.run(root, "ls-files", "--stage", "-z", "--", *folders)
    lines = run.stdout.decode("utf-8", "surrogateescape").split("\0")
    return tuple(line.partition("\t")[2] for line in lines if line.startswith("160000 "))


def _files(root: Path, folders: Sequence[str]) -> dict[str, str]:
    found = {}
    for folder in folders:
        place = root / folder
        paths = (
            [place]
            if place.is_file()
            else (p for p in place.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        )
        for path in paths:
            if path.stat().st_size <= LARGEST_BYTES:
                content = path.read_bytes()
                found[path.relative_to(root).as_posix()] = hashlib.sha1(
                    b"blob %d\0" % len(content) + content, usedforsecurity=False
                ).hexdigest()
            else:
                found[path.relative_to(root).as_posix()] = "too large"
    return dict(sorted(found.items()))


def _shallow(root: Path) -> bool:
    return git.run(root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
