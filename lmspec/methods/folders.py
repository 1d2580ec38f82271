"""folders: the files of a folder, one SHA-256 for all of them, and files written as a whole."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from lmspec.errors import LmspecError

KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link that leads nowhere",
}


Hasher = Callable[[Path], str]  # SHA-256 of a file, in hexadecimal


def sha256(path: Path, hasher: Hasher | None = None) -> str:
    """Of a file's bytes, or of a folder's `<sha256>  <path>` lines, sorted by path.

    For a folder: in-toto's `dirHash`, Go's Hash1, in hexadecimal. `find . -type f | sort | xargs
    sha256sum | sha256sum` prints the same, with LC_ALL=C and paths without the leading `./`.
    hasher  what hashes a file, if not `of_file`
    Raises LmspecError as `files` does.
    """
    hasher = hasher or of_file
    if not path.is_dir():
        return hasher(path)
    lines = "".join(f"{hasher(file)}  {name}\n" for name, file in files(path))
    return hashlib.sha256(lines.encode()).hexdigest()


def files(folder: Path) -> list[tuple[str, Path]]:
    """(path in the folder, file) of every file in it, sorted. A link to a file counts as that file.

    Raises LmspecError for what neither a digest nor DVC covers: a FIFO, a socket, a device, a link
    to anything but a file, and a name with a line break or that is not UTF-8. Go's Hash1 refuses
    line breaks too: with them, two folders could have the same lines.
    """
    return sorted(_files(folder, ""))


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            require_plain(entry.name, path)
            if entry.is_dir(follow_symlinks=False):
                yield from _files(path, f"{prefix}{entry.name}/")
            else:
                _require_file(path)
                yield f"{prefix}{entry.name}", path


def require_files(path: Path) -> None:
    """Raise LmspecError unless it is a file, or a folder of what `files` takes. Opens nothing."""
    if path.is_dir():
        files(path)
    else:
        _require_file(path)


def require_plain(name: str, path: Path) -> None:
    """Raise LmspecError unless every system and every list of files can hold the name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise LmspecError(shown(path), "its name is not UTF-8", "rename it") from None
    if "\n" in name or "\r" in name:
        raise LmspecError(shown(path), "its name holds a line break", "rename it")


def _require_file(path: Path) -> None:
    """Raise LmspecError for what is no regular file, without opening it, which could hang."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:
        if not path.is_symlink():
            raise
        kind = stat.S_IFLNK  # its target is missing, or it is in a loop of links
    if kind != stat.S_IFREG:
        found = f"it is {KINDS.get(kind, 'a link to a folder')}, and must be a file"
        raise LmspecError(shown(path), found, "put a file in its place, or remove it")


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises LmspecError for what is no file."""
    _require_file(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write(path: Path, text: str) -> None:
    """Write a file as a whole: if the disk is full, the former one stays."""
    place = Path(os.path.realpath(path))
    partial = place.with_name(f"{place.name}.partial")
    try:
        partial.write_bytes(text.encode())
        partial.replace(place)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a failed write names no file
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def shown(path: Path) -> str:
    """A path as an error names it: from the current folder, with odd characters escaped."""
    within = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return repr(str(within))[1:-1]
