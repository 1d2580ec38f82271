"""test_folders: one number for a folder, and a message for what no number and no cache covers."""

import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.run import provenance
from lmspec.specs.numerics import Machine
from lmspec.specs.sources import SourcesSpec
from lmspec.stage import Needs
from stages import sources

ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (os.mkfifo, "it is a FIFO"),
    "socket": (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "it is a socket"),
    "dangling": (lambda path: path.symlink_to("nothing"), "it is a link that leads nowhere"),
    "loop": (lambda path: path.symlink_to(path.name), "it is a link that leads nowhere"),
    "folder": (lambda path: path.symlink_to("/"), "it is a link to a folder"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "a\nb": (lambda path: path.write_text(""), "its name holds a line break"),
    "\udcff": (lambda path: path.write_text(""), "its name is not UTF-8"),
}


@pytest.mark.parametrize("name", ODD, ids=repr)
@pytest.mark.parametrize("place", ["raw", "raw/deep"])
def test_what_no_digest_covers_is_refused_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    """By the digest, by provenance and by a source, with its path; reading a FIFO or /dev/zero
    would never end."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw/deep").mkdir(parents=True)
    (tmp_path / "raw/a").write_text("a")
    make, found = ODD[name]
    make(Path(place, name))
    spec = {"kind": "file", "path": "raw", "sha256": "0" * 64}
    for attempt in (
        lambda: folders.sha256(Path("raw")),
        lambda: provenance.of_path(Path("raw"), "raw"),
        lambda: fetch(tmp_path, spec),
    ):
        with pytest.raises(LmspecError) as caught:
            attempt()
        assert caught.value.place == repr(f"{place}/{name}")[1:-1]
        assert found in caught.value.found
    assert not any((tmp_path / "out").iterdir())


def test_a_fifo_in_the_place_of_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop of links is no file at all."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    for path, found in (("fifo", "it is a FIFO"), ("loop", "there is no such file or folder")):
        with pytest.raises(LmspecError, match=found):
            fetch(tmp_path, {"kind": "file", "path": path, "sha256": "0" * 64})


def test_two_folders_never_have_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that holds the line of another file would stand for both; with the check removed,
    it does."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "a").write_text("1")
    (other / "b").write_text("2")
    two = hashlib.sha256(b"2").hexdigest()
    (one / "a").rename(one / f"a\n{two}  b")
    with pytest.raises(LmspecError, match="line break"):
        folders.sha256(one)
    monkeypatch.setattr(folders, "require_plain", lambda name, path: None)
    assert folders.sha256(one) == folders.sha256(other)


def test_a_folder_that_cannot_be_read_is_no_empty_one() -> None:
    """Its files would be missing from the digest, in silence."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as restored:
        Path(place, "closed").mkdir(mode=0)
        if os.geteuid() == 0:  # who may read every folder
            Path(place).chmod(0o755)
            restored.callback(os.seteuid, 0)
            os.seteuid(65534)
        with pytest.raises(PermissionError):
            folders.sha256(Path(place))


def test_a_source_is_content_alone(tmp_path: Path) -> None:
    """Empty folders and modes are not copied, since DVC would not bring them back; a link to a file
    is that file."""
    raw = tmp_path / "raw"
    (raw / "empty").mkdir(parents=True)
    (raw / "tool").write_text("a")
    (raw / "tool").chmod(0o755)
    (raw / "link").symlink_to("tool")
    out = fetch(tmp_path, {"kind": "file", "path": "raw", "sha256": folders.sha256(raw)})
    assert sorted(path.name for path in out.iterdir()) == ["link", "tool"]
    assert not (out / "link").is_symlink() and not os.access(out / "tool", os.X_OK)


def test_a_link_that_leaves_the_repository_is_refused(tmp_path: Path) -> None:
    """Even if the hash is right: a clone would not have the file."""
    (tmp_path / "secret").write_text("s")
    raw = tmp_path / "root/raw"
    raw.mkdir(parents=True)
    (raw / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(LmspecError, match=r"^raw/link: it is outside the repository"):
        fetch(tmp_path / "root", {"kind": "file", "path": "raw", "sha256": folders.sha256(raw)})


def fetch(root: Path, fields: dict[str, str]) -> Path:
    """Build a source into `out` of the root; that folder."""
    out = root / "out"
    out.mkdir(exist_ok=True)
    spec = TypeAdapter(SourcesSpec).validate_python(fields)
    needs = Needs(folders={}, numerics=None, machine=Machine(device="cpu"), root=root)
    sources.build(spec, needs, out)
    return out
