"""tree: the files of a commit or of the working tree, read through git: no cache, no network."""

import functools
import hashlib
import os
import posixpath
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lmspec.errors import LmspecError
from lmspec.git import command as git

WORKTREE = "worktree"
LARGEST_BYTES = 256 * 2**20  # of one file; no metric is larger
HASH = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
AMBIGUOUS = re.compile("refname '(.+)' is ambiguous")
CHUNK = 2**20
LINK, SUBMODULE = "120000", "160000"  # modes of what is not a file
Ids = dict[str, str]  # path from the root of the project -> git's hash of the content


@dataclass
class Tree:
    """The files of one revision.

    name        as the user gave it, or the merge base that it stands for
    commit      its full hash; None for the working tree
    submodules  paths whose content is in another repository
    algorithm   of git's hashes
    """

    name: str
    commit: str | None
    root: Path
    ids: Ids
    _objects: "Objects | None" = field(default=None, repr=False)
    submodules: tuple[str, ...] = ()
    algorithm: str = "sha1"

    def read(self, path: str) -> bytes | None:
        """The content of a file; None if there is none. Raises LmspecError if it is too large."""
        if path not in self.ids:
            return None
        if self._objects is not None:
            return self._objects.read(self.ids[path], f"{self.name}:{path}")
        file = self.root / path
        _require_small(path, file.stat().st_size)
        return file.read_bytes()

    def feed(self, path: str, update: Callable[[bytes], object]) -> None:
        """Give the content of a file to `update`, such as a digest's, whatever its size."""
        if self._objects is not None:
            self._objects.feed(self.ids[path], f"{self.name}:{path}", update)
            return
        with (self.root / path).open("rb") as stream:
            while chunk := stream.read(CHUNK):
                update(chunk)

    def text(self, path: str) -> str | None:
        """The same as UTF-8, with U+FFFD for invalid bytes."""
        content = self.read(path)
        return None if content is None else content.decode("utf-8", "replace")

    def close(self) -> None:
        """Nothing more will be read."""
        if self._objects is not None:
            self._objects.close()


class Objects:
    """One `git cat-file --batch` process for all reads; after an error, a new one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @functools.cached_property
    def process(self) -> "subprocess.Popen[bytes]":
        """Started when something is read."""
        return git.start(self.root, "cat-file", "--batch")

    def read(self, name: str, place: str) -> bytes:
        """The content of an object. Raises LmspecError if git lacks it; other reads still work."""
        pipe, size = self._open(name, place)
        try:
            _require_small(place, size)
        except LmspecError:
            self.close()  # instead of reading to its end
            raise
        content = pipe.read(size + 1)  # and a newline
        if len(content) != size + 1:
            raise self._ended(name, place)
        return content[:-1]

    def feed(self, name: str, place: str, update: Callable[[bytes], object]) -> None:
        """The same in pieces, for an object of any size."""
        pipe, left = self._open(name, place)
        while left and (chunk := pipe.read(min(left, CHUNK))):
            update(chunk)
            left -= len(chunk)
        if left or len(pipe.read(1)) != 1:  # a newline
            raise self._ended(name, place)

    def _open(self, name: str, place: str) -> tuple[IO[bytes], int]:
        """What to read the content from, and its size in bytes."""
        pipe_in, pipe_out = self.process.stdin, self.process.stdout
        assert pipe_in is not None and pipe_out is not None
        try:
            pipe_in.write(f"{name}\n".encode())
            pipe_in.flush()
        except BrokenPipeError:
            raise self._ended(name, place) from None
        header = pipe_out.readline().split()
        if len(header) != 3:  # git prints `missing` also for a corrupt object
            raise self._ended(name, place)
        return pipe_out, int(header[2])

    def _ended(self, name: str, place: str) -> LmspecError:
        """The error if git has no content for an object, or ended before it was read."""
        self.close()
        try:
            git.run(self.root, "cat-file", "-p", name)
        except LmspecError as error:
            if not error.found.startswith("fatal: Not a valid object name"):
                return LmspecError(place, f"git cannot read it: {error.found}", error.remedy)
            remedy = "in a partial clone `git fetch --refetch`, or clone it whole"
            return LmspecError(place, "git does not have its content", remedy)
        remedy = "run it again; `git fsck` shows what is missing"
        return LmspecError(place, "git ended before it was read", remedy)

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

    Without B it is the working tree; three dots stand for the merge base. Raises LmspecError if
    `worktree` is also the name of a branch or tag.
    """
    span = re.fullmatch(r"(.*?)(\.\.\.?)(.*)", f"{first}{second or ''}")
    if span is None or (second is not None and not first.endswith("...")):
        require_unambiguous(root, first, second)
        return first, second or WORKTREE
    left, dots, right = span.groups()
    require_unambiguous(root, left, right)
    if dots == "..":
        return left or "HEAD", right or "HEAD"
    tip = "HEAD" if right in ("", WORKTREE) else right
    return merge_base(left or "HEAD", tip, root), right or WORKTREE


def merge_base(first: str, second: str, root: Path) -> str:
    """The last commit that two branches share. Raises LmspecError if there is none."""
    commits = [commit_of(name, root) for name in (first, second)]
    process = git.run(root, "merge-base", *commits, answers=(0, 1))
    if process.returncode:
        fetch = "fetch more: `git fetch --unshallow`"
        remedy = fetch if _shallow(root) else "name a branch that it came from"
        raise LmspecError(f"{first}...{second}", "they have no commit in common", remedy)
    return process.stdout.decode().strip()


def require_unambiguous(root: Path, *names: str | None) -> None:
    """Raises LmspecError if a name is `worktree` and a branch or tag has that name, too."""
    if WORKTREE not in names:
        return
    places = ("refs/heads/", "refs/tags/", "refs/remotes/", "refs/")
    asked = ("for-each-ref", "--format=%(refname)", *(f"{place}{WORKTREE}" for place in places))
    try:
        refs = git.text(root, *asked).split()
    except git.NoRepository:
        return
    if refs:
        remedy = f"name it `{refs[0]}`; to compare with the working tree, name no second revision"
        found = f"it means the working tree, and is also the name of `{refs[0]}`"
        raise LmspecError(WORKTREE, found, remedy)


def commit_of(name: str, root: Path) -> str:
    """The hash of a branch, tag or commit. Raises LmspecError with the reason if there is none."""
    arguments = ("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    process = git.run(root, *arguments, answers=(0, 128))
    words = process.stderr.decode(errors="replace").strip().splitlines()
    if HASH.fullmatch(commit := process.stdout.decode().strip()):
        twice = AMBIGUOUS.search("\n".join(words))
        if twice and twice[1] != "HEAD":
            remedy = f"name `refs/heads/{twice[1]}` or `refs/tags/{twice[1]}`"
            raise LmspecError(name, f"a branch and a tag are called {twice[1]}", remedy)
        return commit
    if process.returncode and words[-1:] != ["fatal: Needed a single revision"]:
        raise git.failure(root, "rev-parse", "\n".join(words))
    found = "there is no such commit"
    remedy = "name a branch, a tag or a commit: `git log --oneline` lists some"
    if not has_commit(root):
        found = "the repository has no commit yet"
        remedy = "commit what you have built: `git add -A && git commit`"
    elif _shallow(root):
        remedy = "this clone is shallow: `git fetch --unshallow` gets the missing commits"
    elif errors := [line for line in words if line.startswith("error: ")]:
        found += f": {errors[0].removeprefix('error: ')}"
    elif _is_lost(name, root):
        found = "git does not have the commit that it names"
        remedy = "fetch or clone it again; `git fsck` shows what is missing"
    raise LmspecError(name, found, remedy)


def _is_lost(name: str, root: Path) -> bool:
    """Does a name lead to an object that git does not have?"""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", name)
    found = git.run(root, *asked, answers=(0, 1)).stdout.decode().strip()
    if not HASH.fullmatch(found) or found == name:  # rev-parse accepts any full hash
        return False
    return bool(git.run(root, "cat-file", "-e", found, answers=(0, 1, 128)).returncode)


def has_commit(root: Path) -> bool:
    """Is the root in a repository with a commit? Raises LmspecError if git cannot say."""
    try:
        if not git.run(root, "rev-parse", "--verify", "--quiet", "HEAD", answers=(0, 1)).returncode:
            return True
    except git.NoRepository:
        return False
    if broken := git.run(root, "for-each-ref").stderr.decode(errors="replace").strip():
        raise git.failure(root, "for-each-ref", broken)  # such as a ref that a crash left empty
    git.run(root, "symbolic-ref", "HEAD")  # before the first commit it names the future branch
    return False


def tree(name: str, root: Path, folders: Sequence[str]) -> Tree:
    """The files of a branch, tag or commit, or of the working tree (`worktree`).

    folders  paths that will be read, relative to the root
    """
    if name == WORKTREE:
        submodules, algorithm = _index(root, folders)
        files = _files(root, folders, algorithm)
        return Tree(name, None, root, files, None, submodules, algorithm)
    return of_commit(name, commit_of(name, root), root, folders)


def add(tree: Tree, paths: Sequence[str]) -> None:
    """Further paths that will be read; those outside the repository are skipped."""
    for path in paths:
        if tree.commit is None:
            tree.ids |= _files(tree.root, [path], tree.algorithm)
        elif not posixpath.normpath(git.prefix(tree.root) + path).startswith("../"):
            rows = git.text(tree.root, "ls-tree", "-r", "-z", tree.commit, "--", path)
            tree.ids |= _listed(rows)["blob"]


def add_data(tree: Tree, paths: Sequence[str]) -> None:
    """Further files or folders that git holds, except folders with a link or submodule in them."""
    if tree.commit is None:
        places = {path: tree.root / path for path in _not_ignored(tree.root, *paths)}
        found = {
            path: "" if _leads_on(place) else id_of(place, tree.algorithm)
            for path, place in places.items()
        }
    else:
        rows = _rows(git.text(tree.root, "ls-tree", "-r", "-z", tree.commit, "--", *paths))
        found = {path: "" if mode in (LINK, SUBMODULE) else i for mode, i, path in rows}
    for path in paths:
        inside = {p: i for p, i in found.items() if p == path or p.startswith(f"{path}/")}
        tree.ids |= inside if all(inside.values()) else {}


def stamps(root: Path, ending: str) -> list[tuple[str, int, int]]:
    """(path, modification time in ns, bytes) of files of the working tree that are not ignored."""
    paths = [path for path in _not_ignored(root) if path.endswith(ending)]
    stats = [(path, (root / path).lstat()) for path in paths]
    return [(path, stat.st_mtime_ns, stat.st_size) for path, stat in stats]


def _not_ignored(root: Path, *within: str) -> list[str]:
    """Paths of the working tree that git holds, or would after `git add`."""
    what = ("--cached", "--others", "--exclude-standard")
    try:
        listed = git.text(root, "ls-files", "-z", *what, "--", *within)
    except git.NoRepository:
        return []
    paths = dict.fromkeys(filter(None, listed.split("\0")))
    return [path for path in paths if os.path.lexists(root / path)]


def _leads_on(file: Path) -> bool:
    """Is it a link, or a folder, which is how git lists a submodule?"""
    return file.is_symlink() or not file.is_file()


def top_level(tree: Tree) -> set[str]:
    """Names of the files and folders at the root."""
    if tree.commit is None:
        return {path.name for path in tree.root.iterdir()}
    names = git.text(tree.root, "ls-tree", "-z", "--name-only", tree.commit)
    return set(filter(None, names.split("\0")))


def of_commit(
    name: str, commit: str, root: Path, folders: Sequence[str], objects: Objects | None = None
) -> Tree:
    """The files of a commit, by its full hash. objects: a reader shared with other trees."""
    ids = _listed(git.text(root, "ls-tree", "-r", "-z", commit, "--", *folders))
    return Tree(name, commit, root, ids["blob"], objects or Objects(root), tuple(ids["commit"]))


def _listed(rows: str) -> dict[str, Ids]:
    """Kind -> path -> hash, from `git ls-tree -z`. A submodule is of kind `commit`."""
    ids: dict[str, Ids] = {"blob": {}, "commit": {}}
    for mode, content, path in _rows(rows):
        ids["commit" if mode == SUBMODULE else "blob"][path] = content
    return ids


def _rows(rows: str) -> Iterator[tuple[str, str, str]]:
    """(mode, hash, path) of each, from `git ls-tree -z`."""
    for row in filter(None, rows.split("\0")):
        about, _, path = row.partition("\t")
        mode, _, content = about.split()
        yield mode, content, path


def _index(root: Path, folders: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Submodules of the working tree, by the index, and the algorithm of git's hashes."""
    try:
        listed = git.text(root, "ls-files", "--stage", "-z", "--", *folders).split("\0")
        # an empty index shows no hash; asking in every case would cost a process
        hashes = [line.split()[1] for line in listed[:1] if line]
        sizes = {40: "sha1", 64: "sha256"}
        asked = ("rev-parse", "--show-object-format")
        algorithm = sizes[len(hashes[0])] if hashes else git.text(root, *asked).strip()
    except git.NoRepository:
        return (), "sha1"
    submodules = (line.partition("\t")[2] for line in listed if line.startswith("160000 "))
    return tuple(submodules), algorithm


def _files(root: Path, folders: Sequence[str], algorithm: str) -> Ids:
    ids = {}
    for folder in folders:
        place = root / folder
        for file in [place] if place.is_file() else place.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                path = file.relative_to(root).as_posix()
                ids[path] = id_of(file, algorithm)
    return dict(sorted(ids.items()))


def id_of(file: Path, algorithm: str) -> str:
    """git's hash of a file's content, unless it is too large to be read."""
    if file.stat().st_size > LARGEST_BYTES:
        return "too large"
    content = file.read_bytes()
    header = b"blob %d\0" % len(content)
    return hashlib.new(algorithm, header + content, usedforsecurity=False).hexdigest()


def _shallow(root: Path) -> bool:
    return git.text(root, "rev-parse", "--is-shallow-repository").strip() == "true"
