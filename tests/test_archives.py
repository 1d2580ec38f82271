"""test_archives: an archive that is cut short, damaged or ambiguous gives one message, and never a
part of its files."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lmspec.errors import LmspecError
from lmspec.methods.sources import archive

FILES = {"pkg/a": b"a" * 600, "pkg/b": b"b", "pkg/deep/c": b"c" * 2000}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def tarred(*entries: tuple[str, bytes, bytes]) -> bytes:
    """(name, type, content) of each entry."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, len(content)
            packed.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def zipped(*entries: tuple[str, bytes, int]) -> bytes:
    """(name, content, kind of file in Unix) of each entry."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content, kind in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = kind << 16
            packed.writestr(info, content)
    return stream.getvalue()


def ended(*names: str) -> list[tuple[str, bytes, bytes]]:
    """Entries of a tar, with these names."""
    return [(name, tarfile.REGTYPE, os.fsencode(name)) for name in names]


TAR = tarred(*((name, tarfile.REGTYPE, content) for name, content in FILES.items()))
with tarfile.open(fileobj=io.BytesIO(TAR)) as whole:
    EDGES = [*[entry.offset for entry in whole][1:], whole.offset]
ZIP = zipped(*((name, content, 0) for name, content in FILES.items()))


def taken(folder: Path, content: bytes, member: str = "pkg") -> dict[str, bytes]:
    """What is unpacked of an archive; nothing is, if that raises."""
    out = folder / "out"
    out.mkdir()
    (folder / "archive").write_bytes(content)
    try:
        archive.take(folder / "archive", (member,), out, "it")
    except LmspecError:
        assert not any(out.iterdir())
        raise
    files = {path for path in out.rglob("*") if path.is_file()}
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_a_whole_archive_of_each_kind_is_taken(tmp_path: Path) -> None:
    """One block of zeros is an end, as some programs write it."""
    wanted = {name.removeprefix("pkg/"): content for name, content in FILES.items()}
    archives = [pack(TAR) for pack in PACKERS.values()] + [ZIP, TAR[: EDGES[-1] + 512]]
    for i, content in enumerate(archives):
        (tmp_path / str(i)).mkdir()
        assert taken(tmp_path / str(i), content) == wanted


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("edge", EDGES)
def test_a_tar_that_ends_between_two_members_is_refused(
    tmp_path: Path, edge: int, kind: str
) -> None:
    """However it was compressed afterwards. The control is tarfile, which lists what is left."""
    cut = PACKERS[kind](TAR[:edge])
    with tarfile.open(fileobj=io.BytesIO(cut)) as packed:
        assert len(packed.getnames()) in (1, 2, 3)
    with pytest.raises(LmspecError, match="no end of the archive"):
        taken(tmp_path, cut)


def flipped(content: bytes, place: int) -> bytes:
    """With one byte changed."""
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGED = {
    "a header in the middle": (flipped(TAR, EDGES[0]), "no end of the archive: bad checksum"),
    "two archives in one": (TAR + TAR, "there is more after its end"),
    "gzip without its last bytes": (gzip.compress(TAR)[:-8], "Compressed file ended"),
    "gzip with another checksum": (flipped(gzip.compress(TAR), -8), "CRC check failed"),
    "gzip with something behind it": (gzip.compress(TAR) + b"garbage", "Not a gzipped file"),
    "xz with another checksum": (flipped(lzma.compress(TAR), -30), "cannot be unpacked"),
    "bzip2 that ends early": (bz2.compress(TAR)[:-4], "Compressed file ended"),
    "a device": (tarred(*ended("pkg/a"), ("pkg/d", tarfile.CHRTYPE, b"")), "'pkg/d' is a device"),
    "a FIFO": (tarred(("pkg/d", tarfile.FIFOTYPE, b""), *ended("pkg/a")), "'pkg/d' is a device"),
    "a name twice": (tarred(*ended("pkg/a", "pkg/b", "./pkg//a")), "'./pkg//a' is there twice"),
    "case": (tarred(*ended("pkg/a", "pkg/A")), "'pkg/A' and 'a' are one file"),
    "case of a folder": (tarred(*ended("pkg/d/x", "pkg/D/y")), "'pkg/D/y' and 'd' are one file"),
    "composed letters": (tarred(*ended("pkg/\xe9", "pkg/e\u0301")), "are one file"),
    "a line break": (tarred(*ended("pkg/a\nb")), "its name holds a line break"),
    "a file and a folder": (tarred(*ended("pkg/a", "pkg/a/b")), "cannot be unpacked"),
    "a zip that is cut": (ZIP[: len(ZIP) // 2], "is a zip that is cut short"),
    "a name twice in a zip": (zipped(("pkg/a", b"1", 0), ("pkg/a", b"2", 0)), "is there twice"),
    "a link in a zip": (zipped(("pkg/a", b"/", stat.S_IFLNK)), "'pkg/a' is a link"),
    "a device in a zip": (zipped(("pkg/a", b"", stat.S_IFBLK)), "'pkg/a' is a device"),
    "a FIFO in a zip": (zipped(("pkg/a", b"", stat.S_IFIFO)), "'pkg/a' is a FIFO"),
    "case in a zip": (zipped(("pkg/a", b"", 0), ("pkg/A", b"", 0)), "are one file"),
    "an encrypted zip": (
        ZIP.replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0", 1),
        "is encrypted",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_or_ambiguous_is_refused(tmp_path: Path, kind: str) -> None:
    """As a whole: of the files before the fault none is kept."""
    content, found = DAMAGED[kind]
    with pytest.raises(LmspecError) as caught:
        taken(tmp_path, content)
    assert found in str(caught.value)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """It could be in no digest of a folder."""
    with pytest.raises(LmspecError, match="its name is not UTF-8"):
        taken(tmp_path, tarred(*ended("pkg/\udcff")))


def test_what_is_not_asked_for_does_no_harm(tmp_path: Path) -> None:
    """A device, or names that collide, elsewhere in the archive."""
    odd = ("other/d", tarfile.CHRTYPE, b"")
    assert taken(tmp_path, tarred(odd, *ended("b", "B", "b", "pkg/a"))) == {"a": b"pkg/a"}


@pytest.mark.parametrize(("limit", "value"), [("MOST_BYTES", 2000), ("MOST_FILES", 2)])
@pytest.mark.parametrize("content", [TAR, ZIP])
def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, content: bytes
) -> None:
    """By the sizes that it declares, before they are written."""
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(LmspecError, match="'pkg/deep/c' does not fit"):
        taken(tmp_path, content)


def test_a_file_that_is_shorter_than_its_archive_says_is_refused(tmp_path: Path) -> None:
    """A zip with the right checksum of the wrong number of bytes."""
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("pkg/a", b"aaaa")
        info = packed.infolist()[0]
        info.file_size = 5
    with pytest.raises(LmspecError, match="4 of 5 bytes"):
        taken(tmp_path, plain.getvalue())
