"""archive: extract one file or folder from a zip or tar, through nested archives, safely."""

import functools
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from lmspec.errors import LmspecError, some


def take(archive: Path, members: tuple[str, ...], out: Path, what: str) -> None:
    """Copy members[-1] into `out`: a file under its own name, a folder as its content.

    Every other member is an archive inside the one before it. Links, absolute paths and `..` are
    rejected; nothing is written to `out` then.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for depth, member in enumerate(members):
            inner = Path(scratch, str(depth))
            inner.mkdir()
            if not archive.is_file():
                raise LmspecError(
                    what,
                    f"'{members[depth - 1]}' is a folder, and must be an archive",
                    "correct `members`",
                )
            try:
                _extract(archive, member, inner, what)
            except LmspecError:
                raise
            # zipfile, tarfile and the decompressors raise half a dozen unrelated types
            except Exception as error:
                reason = f"{archive.name} cannot be unpacked: {type(error).__name__}: {error}"
                raise LmspecError(what, reason, "see whether the archive is whole") from error
            archive = inner / PurePosixPath(member).name
        for path in inner.iterdir():
            shutil.move(path, out / path.name)


def _extract(archive: Path, member: str, out: Path, what: str) -> None:
    wanted = _inside(member, what)
    names = []
    for name, open_file in _files(archive, what):
        path = PurePosixPath(name)
        names.append(name)
        if path != wanted and wanted not in path.parents:
            continue
        _inside(name, what)
        if open_file is None:
            raise LmspecError(
                what, f"'{name}' is a link", "take what it points to by its own name in `members`"
            )
        target = out / (path.name if path == wanted else path.relative_to(wanted))
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_file() as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    if not any(out.iterdir()):
        raise LmspecError(what, f"'{member}' is not in {archive.name}", f"it holds {some(names)}")


def _files(archive: Path, what: str) -> Iterator[tuple[str, Callable[[], IO[bytes]] | None]]:
    """Name of each file, and what opens it: None for a link, which could point anywhere."""
    if tarfile.is_tarfile(archive):  # before zip: is_zipfile is true of a tar that holds a zip
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isreg() or entry.issym() or entry.islnk():
                    yield (
                        entry.name,
                        functools.partial(_content, tar, entry) if entry.isreg() else None,
                    )
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    yield (
                        info.filename,
                        None
                        if stat.S_ISLNK(info.external_attr >> 16)
                        else functools.partial(packed.open, info),
                    )
    else:
        raise LmspecError(
            what, f"{archive.name} is neither a zip nor a tar archive", "correct `members`"
        )


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(entry)
    assert stream is not None  # a regular file has content
    return stream


def _inside(name: str, what: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise LmspecError(
            what,
            f"'{name}' climbs out of the archive",
            "nothing was written; do not trust this archive",
        )
    return path
