"""archive: extract one file or folder from a zip or tar, through nested archives, safely."""

import functools
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Self

from lmspec.errors import LmspecError, some
from lmspec.methods import folders

MOST_FILES = 1_000_000
MOST_BYTES = 1 << 36  # 64 GiB
CHUNK_BYTES = 1 << 20
ENCRYPTED = 0x1  # a flag of a file in a zip
KINDS = {
    stat.S_IFLNK: "is a link",
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}


class Member(NamedTuple):
    """A file of an archive. refused: why it cannot be taken, as `is a link`; empty if it can."""

    name: str
    size: int
    refused: str
    open: Callable[[], IO[bytes]]


def take(archive: Path, members: tuple[str, ...], out: Path, what: str) -> None:
    """Copy members[-1] into `out`: a file under its own name, a folder as its content.

    Every other member is an archive inside the one before it. Links, devices, absolute paths, `..`
    and archives that are cut short are rejected; nothing is written to `out` then.
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
    names: list[str] = []
    taken = _Taken(min(MOST_BYTES, shutil.disk_usage(out).free))
    for packed in _files(archive, what):
        path = PurePosixPath(packed.name)
        names.append(packed.name)
        if path != wanted and wanted not in path.parents:
            continue
        _inside(packed.name, what)
        folders.require_plain(packed.name, Path(packed.name))
        place = PurePosixPath(path.name) if path == wanted else path.relative_to(wanted)
        if refused := packed.refused or taken.refuse(place, packed.size):
            remedy = "name what you need of it in `members`, or pack it in another way"
            raise LmspecError(what, f"'{packed.name}' {refused}", remedy)
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        with packed.open() as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        if target.stat().st_size != packed.size:
            raise EOFError(f"{packed.name} has {target.stat().st_size} of {packed.size} bytes")
    if not any(out.iterdir()):
        raise LmspecError(what, f"'{member}' is not in {archive.name}", f"it holds {some(names)}")


class _Taken:
    """What has been unpacked. room: bytes that may be."""

    def __init__(self, room: int) -> None:
        self._room, self._files, self._spelled = room, set[PurePosixPath](), dict[str, str]()

    def refuse(self, place: PurePosixPath, size: int) -> str:
        """Why the next file cannot be unpacked there, or nothing."""
        self._room -= size
        if self._room < 0 or len(self._files) == MOST_FILES:
            return (
                f"does not fit: of one archive {MOST_FILES:,} files and {MOST_BYTES >> 30} GiB are "
                "unpacked, if the disk has that much room"
            )
        if place in self._files:
            return "is there twice"
        self._files.add(place)
        for part in map(str, (place, *place.parents)):
            # where case or composition of letters does not count, as on macOS
            other = self._spelled.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if other != part:
                return f"and '{other}' are one file on some systems"
        return ""


def _files(archive: Path, what: str) -> Iterator[Member]:
    """Every file, and what is neither a file nor a folder. Raises if the archive is cut short."""
    if tarfile.is_tarfile(archive):  # before zip: is_zipfile is true of a tar that holds a zip
        with tarfile.open(archive, tarinfo=_Entry) as tar:
            for entry in tar:
                if not entry.isdir():
                    opened = functools.partial(_content, tar, entry)
                    yield Member(entry.name, entry.size, _kind(entry), opened)
            _require_end(tar)
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    kind = KINDS.get(stat.S_IFMT(info.external_attr >> 16), "")
                    refused = "is encrypted" if info.flag_bits & ENCRYPTED else kind
                    opened = functools.partial(packed.open, info)
                    yield Member(info.filename, info.file_size, refused, opened)
    else:
        with archive.open("rb") as stream:
            is_zip = stream.read(4) == b"PK\3\4"
        found = "is a zip that is cut short" if is_zip else "is neither a zip nor a tar archive"
        remedy = "see whether the archive is whole" if is_zip else "correct `members`"
        raise LmspecError(what, f"{archive.name} {found}", remedy)


class _Entry(tarfile.TarInfo):
    """A header of a tar. Where it cannot be read, tarfile would take that for the archive's end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        """Raises ReadError if the archive ends, or is damaged, before its end mark."""
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end mark: a block of zeros
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"no end of the archive: {error}") from None


def _kind(entry: tarfile.TarInfo) -> str:
    if entry.isreg():
        return ""
    return "is a link" if entry.issym() or entry.islnk() else "is a device or a FIFO"


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(entry)
    assert stream is not None  # a regular file has content
    return stream


def _require_end(tar: tarfile.TarFile) -> None:
    """Read what follows the end mark: it is zeros, and has the checksum of a compressed archive."""
    stream = tar.fileobj
    while stream is not None and (rest := stream.read(CHUNK_BYTES)):
        if rest.strip(b"\0"):
            raise tarfile.ReadError("there is more after its end, which would be lost")


def _inside(name: str, what: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise LmspecError(
            what,
            f"'{name}' climbs out of the archive",
            "nothing was written; do not trust this archive",
        )
    return path
