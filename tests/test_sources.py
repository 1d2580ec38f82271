"""test_sources: every kind of source gives exactly what its hash declares, or one message and
nothing on disk."""

import hashlib
import io
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.methods.sources import archive
from lmspec.pipeline import compiler
from lmspec.specs.numerics import Machine
from lmspec.specs.project import Project
from lmspec.specs.sources import SourcesSpec
from lmspec.stage import Needs
from stages import sources
from tests.hub import Hub

Files = Mapping[str, bytes]
Links = Mapping[str, tuple[bytes, str]]
Pack = Callable[[Files], bytes]

ROOT = Path(__file__).parent.parent
WRONG = "0" * 64
DATA = {"one.txt": b"one\n", "deep/two.bin": bytes(range(256))}
PACKED = {
    **{f"pkg/data/{path}": content for path, content in DATA.items()},
    "pkg/readme": b"r",
    "pkg/data-b/x": b"x",
}


def sha256(content: bytes) -> str:
    """Of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def folder_sha256(files: Files) -> str:
    """What the documented pipeline prints: lines in the order of the paths' bytes, as `sort` with
    LC_ALL=C has them."""
    by_bytes = sorted(files.items(), key=lambda item: item[0].encode())
    return sha256("".join(f"{sha256(content)}  {path}\n" for path, content in by_bytes).encode())


def write(folder: Path, files: Files) -> Path:
    """The folder, with these files in it."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def zipped(files: Files) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return stream.getvalue()


def tarred(files: Files, links: Links | None = None, compression: str = "gz") -> bytes:
    """A tar archive.

    Links are path -> (type, target); they come first, so that a naive reader would write through
    them.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as packed:
        for path, (kind, target) in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = kind, target
            packed.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty repository."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for the artifact, with another around it that nothing may be written to."""
    (tmp_path / "around" / "out").mkdir(parents=True)
    return tmp_path / "around" / "out"


def build(root: Path, out: Path, **fields: object) -> None:
    """Build a source from the fields of its spec."""
    spec = TypeAdapter(SourcesSpec).validate_python(fields)
    sources.build(
        spec, Needs(folders={}, numerics=None, machine=Machine(device="cpu"), root=root), out
    )


def refused(out: Path, attempt: Callable[[], None]) -> LmspecError:
    """The error of an attempt that must fail, and must leave nothing in `out` or beside it."""
    with pytest.raises(LmspecError) as caught:
        attempt()
    assert list(out.parent.rglob("*")) == [out]
    return caught.value


NAMES = (
    "b",
    "a/z",
    "a-b",
    "a.txt",
    "a/é",
    "Z",
    "ÿ",
    "a b",
    "a/deep/er/x",
)  # their order depends on the locale


def test_digest_of_a_folder_is_what_the_shell_prints(root: Path) -> None:
    """It is the number of the documented pipeline, and an empty folder counts nothing."""
    files = {name: name.encode() for name in NAMES}
    (root / "empty").mkdir()
    assert folders.sha256(write(root, files)) == folder_sha256(files)


@pytest.mark.parametrize("name", NAMES)
def test_digest_of_a_folder_covers_each_byte_and_each_name(root: Path, name: str) -> None:
    """One byte changed, one file renamed, one file moved: each has another number, and undone it
    has the first again."""
    path = write(root, {name: name.encode() for name in NAMES}) / name
    numbers = [folders.sha256(root)]
    path.write_bytes(name.encode() + b"\0")
    numbers.append(folders.sha256(root))
    path.write_bytes(name.encode())
    for other in (path.with_name("renamed"), root / "moved"):
        path = path.rename(other)
        numbers.append(folders.sha256(root))
    assert len(set(numbers)) == 4
    path.rename(root / name)
    assert folders.sha256(root) == numbers[0]


@pytest.mark.parametrize(
    "pack", [zipped, tarred, partial(tarred, compression=""), partial(tarred, compression="xz")]
)
def test_archive_gives_a_file_under_its_name_and_a_folder_as_its_content(
    tmp_path: Path, out: Path, pack: Pack
) -> None:
    """Nothing else comes along, not even from a folder whose name only begins like the member's."""
    packed = write(tmp_path, {"archive": pack(PACKED)}) / "archive"
    archive.take(packed, ("pkg/data",), out, "it")
    assert read(out) == DATA
    archive.take(packed, ("pkg/readme",), out, "it")
    assert read(out) == {**DATA, "readme": b"r"}


@pytest.mark.parametrize("outer", [zipped, tarred, partial(tarred, compression="")])
@pytest.mark.parametrize("inner", [zipped, tarred, partial(tarred, compression="")])
def test_archive_in_an_archive_in_an_archive(
    tmp_path: Path, out: Path, outer: Pack, inner: Pack
) -> None:
    """Each kind is found in each, a zip in a plain tar too, which zipfile takes for the zip."""
    packed = outer({"a/middle": inner({"b/inner": outer(PACKED), "b/no": b""}), "a/no": b""})
    archive.take(
        write(tmp_path, {"archive": packed}) / "archive",
        ("a/middle", "b/inner", "pkg/data"),
        out,
        "it",
    )
    assert read(out) == DATA


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "evil",
    ["pkg/../../evil", "pkg/../../../evil", "pkg/a/../../../evil", "pkg\\..\\..\\evil", "/evil"],
)
def test_archive_that_climbs_out_writes_nothing_outside(
    tmp_path: Path, out: Path, pack: Pack, evil: str
) -> None:
    """A wanted entry that climbs out is refused and takes the good ones with it; asked for by name,
    it is refused too."""
    packed = write(tmp_path, {"archive": pack({"pkg/good": b"good", evil: b"evil"})}) / "archive"
    asked = refused(out, lambda: archive.take(packed, (evil,), out, "it"))
    assert "climbs out" in str(asked) and evil in str(asked)
    if evil.startswith("pkg/"):
        assert "climbs out" in str(refused(out, lambda: archive.take(packed, ("pkg",), out, "it")))
    else:
        archive.take(packed, ("pkg",), out, "it")
        assert read(out.parent) == {"out/good": b"good"}
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_archive_with_a_link_is_refused_where_the_link_is_wanted(
    tmp_path: Path, out: Path, kind: bytes
) -> None:
    """A folder's link to the outside gets nothing written through it; elsewhere in the archive it
    does no harm."""
    outside = write(tmp_path / "outside", {"secret": b"s"})
    packed = tarred(
        {"pkg/way/evil": b"evil", "other/good": b"good"}, {"pkg/way": (kind, str(outside))}
    )
    write(tmp_path, {"archive": packed})
    for member in ("pkg", "pkg/way"):
        assert "'pkg/way' is a link" in str(
            refused(out, lambda m=member: archive.take(tmp_path / "archive", (m,), out, "it"))
        )
    archive.take(tmp_path / "archive", ("other",), out, "it")
    assert read(out) == {"good": b"good"} and read(outside) == {"secret": b"s"}


def test_archive_with_a_link_in_a_zip_is_refused(tmp_path: Path, out: Path) -> None:
    """A zip keeps a link as a file whose content is the target; it is not taken for that file."""
    entry = zipfile.ZipInfo("pkg/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as packed:
        packed.writestr(entry, "/")
    assert "is a link" in str(
        refused(out, lambda: archive.take(tmp_path / "archive", ("pkg",), out, "it"))
    )


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archive_without_the_member_names_some_that_are_there(
    tmp_path: Path, out: Path, pack: Pack
) -> None:
    """The error holds the member, the archive, and names to choose from: some of many, or that
    there are none."""
    write(
        tmp_path,
        {"few": pack(PACKED), "many": pack({f"f{i}": b"" for i in range(30)}), "none": pack({})},
    )
    few = refused(out, lambda: archive.take(tmp_path / "few", ("pkg/dat",), out, "it"))
    assert "'pkg/dat' is not in few" in few.found and all(path in few.remedy for path in PACKED)
    many = refused(out, lambda: archive.take(tmp_path / "many", ("g",), out, "it"))
    assert many.remedy.startswith("it holds f0, f1, ") and many.remedy.endswith(" and 22 more")
    assert (
        refused(out, lambda: archive.take(tmp_path / "none", ("g",), out, "it")).remedy
        == "it holds nothing"
    )


def test_archive_that_is_none_is_refused(tmp_path: Path, out: Path) -> None:
    """A text, an empty file, and a folder in the place of an inner archive: the error says that
    each is no archive."""
    write(tmp_path, {"text": b"plain", "empty": b"", "outer": zipped({"in/text": b"plain"})})
    for members in (("text",), ("empty",), ("outer", "in/text")):
        error = refused(
            out, lambda m=members: archive.take(tmp_path / m[0], (*m[1:], "x"), out, "it")
        )
        assert f"{Path(members[-1]).name} is neither a zip nor a tar" in error.found
    error = refused(out, lambda: archive.take(tmp_path / "outer", ("in", "text"), out, "it"))
    assert error.found == "'in' is a folder, and must be an archive"


@pytest.mark.parametrize(
    "pack", [tarred, partial(tarred, compression="bz2"), partial(tarred, compression="xz")]
)
def test_archive_that_is_cut_off_is_refused(tmp_path: Path, out: Path, pack: Pack) -> None:
    """Wherever it ends too early, there is one message, and nothing of the files before the end."""
    whole = pack({f"pkg/{i}": hashlib.sha256(b"%d" % i).digest() * 99 for i in range(99)})
    for kept in (20, len(whole) // 2, len(whole) * 9 // 10):
        write(tmp_path, {"archive": whole[:kept]})
        error = refused(out, lambda: archive.take(tmp_path / "archive", ("pkg",), out, "it"))
        assert "cannot be unpacked" in error.found or "neither a zip nor a tar" in error.found


def test_archive_with_a_changed_byte_in_a_zip_is_refused(tmp_path: Path, out: Path) -> None:
    """A zip has a checksum of each file; the file before the damaged one is not written either."""
    damaged = bytearray(zipped({"pkg/a": b"good", "pkg/b": bytes(range(256))}))
    damaged[damaged.index(bytes(range(100, 110)))] ^= 1
    write(tmp_path, {"archive": bytes(damaged)})
    assert (
        "Bad CRC-32"
        in refused(out, lambda: archive.take(tmp_path / "archive", ("pkg",), out, "it")).found
    )


def test_file_and_folder_are_copied(root: Path, out: Path) -> None:
    """A file under its own name, a folder as its content; the original stays."""
    write(root / "raw", DATA)
    build(root, out, kind="file", path="raw/one.txt", sha256=sha256(b"one\n"))
    assert read(out) == {"one.txt": b"one\n"}
    build(root, out, kind="file", path="raw", sha256=folder_sha256(DATA))
    assert read(out) == DATA == read(root / "raw")


def test_file_that_is_a_link_keeps_its_own_name(root: Path, out: Path) -> None:
    """A cache may keep the bytes elsewhere in the repository, under a name that is a hash."""
    write(root, {"cache/5e884898": b"one\n"})
    (root / "one.txt").symlink_to(root / "cache" / "5e884898")
    build(root, out, kind="file", path="one.txt", sha256=sha256(b"one\n"))
    assert read(out) == {"one.txt": b"one\n"}


def test_file_with_another_hash_is_not_copied(root: Path, out: Path) -> None:
    """The error names the hash that was found and the declared one."""
    write(root / "raw", DATA)
    for path, found in (("raw/one.txt", sha256(b"one\n")), ("raw", folder_sha256(DATA))):
        error = str(
            refused(out, lambda p=path: build(root, out, kind="file", path=p, sha256=WRONG))
        )
        assert error.startswith(f"{path}: ") and found in error and WRONG in error


def test_file_outside_the_repository_is_not_copied(root: Path, out: Path) -> None:
    """Not by `..`, not by an absolute path, not by a link, and not by a link within a folder."""
    outside = write(root.parent / "outside", {"secret": b"s"})
    (root / "link").symlink_to(outside)
    secret = sha256(b"s")
    for path in ("../outside/secret", "x/../../outside/secret", str(outside / "secret")):
        with pytest.raises(ValidationError, match="match pattern"):
            build(root, out, kind="file", path=path, sha256=secret)
    error = refused(out, lambda: build(root, out, kind="file", path="link/secret", sha256=secret))
    assert (error.place, error.found) == ("link/secret", "it is outside the repository")
    write(root / "folder", {"a": b"a"})
    (root / "folder" / "way").symlink_to(outside)
    error = refused(
        out, lambda: build(root, out, kind="file", path="folder", sha256=folder_sha256({"a": b"a"}))
    )
    assert error.place.endswith("way") and "it is a link to a folder" in error.found


def test_file_that_is_missing_is_refused(root: Path, out: Path) -> None:
    """The error names the path."""
    error = refused(out, lambda: build(root, out, kind="file", path="raw/none.txt", sha256=WRONG))
    assert error.place == "raw/none.txt" and "no such file" in error.found


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which Python's own HTTP server, which knows no ranges, gives
    it."""
    folder = write(
        tmp_path / "www",
        {"raw.txt": b"raw", "packed.tar.gz": tarred(PACKED), "big.bin": bytes(range(256)) * 24_000},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_url_gives_the_file_or_what_is_in_it(
    root: Path, out: Path, served: tuple[Path, str]
) -> None:
    """Without members the file under its own name, whatever is asked for after it; with members
    what they name."""
    folder, address = served
    build(
        root,
        out,
        kind="url",
        url=f"{address}/raw.txt?token=1#part",
        sha256=sha256(b"raw"),
        members=[],
    )
    assert read(out) == {"raw.txt": b"raw"}
    packed = folders.sha256(folder / "packed.tar.gz")
    build(
        root, out, kind="url", url=f"{address}/packed.tar.gz", sha256=packed, members=["pkg/data"]
    )
    assert read(out) == {"raw.txt": b"raw", **DATA}


def test_url_of_a_large_file_needs_no_ranges(
    root: Path, out: Path, served: tuple[Path, str]
) -> None:
    """6 MB arrive whole: fsspec reads in ranges of 5 MiB where it may, and this server ignores
    ranges."""
    folder, address = served
    build(
        root,
        out,
        kind="url",
        url=f"{address}/big.bin",
        sha256=folders.sha256(folder / "big.bin"),
        members=[],
    )
    assert read(out) == {"big.bin": (folder / "big.bin").read_bytes()}


def test_url_with_another_hash_gives_nothing(
    root: Path, out: Path, served: tuple[Path, str]
) -> None:
    """The error names the address and both hashes, and a wrong archive is not even opened."""
    folder, address = served
    for name, members in (
        ("raw.txt", []),
        ("packed.tar.gz", ["pkg/data"]),
        ("raw.txt", ["no/archive"]),
    ):
        url = f"{address}/{name}"
        error = refused(
            out,
            lambda u=url, m=members: build(root, out, kind="url", url=u, sha256=WRONG, members=m),
        )
        assert (
            error.place == url
            and folders.sha256(folder / name) in error.found
            and WRONG in error.found
        )


def test_url_that_cannot_be_read_gives_nothing(
    root: Path, out: Path, served: tuple[Path, str]
) -> None:
    """A missing page, a closed port, an unknown scheme, a folder, and a member that is not there:
    one message each."""
    folder, address = served
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for url, found in (
        (f"{address}/none.txt", "none.txt"),
        (f"http://127.0.0.1:{port}/raw.txt", "connect"),
        ("nope://host/raw.txt", "nope"),
        (f"file://{folder}", "folder"),
    ):
        error = refused(
            out, lambda u=url: build(root, out, kind="url", url=u, sha256=WRONG, members=[])
        )
        assert error.place == url and found in error.found.lower() and error.remedy
    fields = {
        "kind": "url",
        "url": f"{address}/packed.tar.gz",
        "sha256": folders.sha256(folder / "packed.tar.gz"),
    }
    assert (
        "'none' is not in"
        in refused(out, lambda: build(root, out, **fields, members=["none"])).found
    )


BACKEND = """
import os, pathlib
pathlib.Path(os.environ["RAN"]).touch()
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "toy-1.0.dist-info")
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0\\n")
    return info.name
def build_wheel(folder, settings=None, metadata=None):
    raise NotImplementedError
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with toy 1.0 as a wheel and as a source distribution: all that pip can find.

    A build touches `ran`.
    """
    metadata = b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n"
    tags = b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = {
        "toy-1.0.dist-info/METADATA": metadata,
        "toy-1.0.dist-info/WHEEL": tags,
        "toy-1.0.dist-info/RECORD": b"",
    }
    project = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    source = {
        "PKG-INFO": metadata,
        "pyproject.toml": project,
        "backend.py": BACKEND.encode(),
        "in.zip": zipped(PACKED),
    }
    sdist = tarred({f"toy-1.0/{path}": content for path, content in source.items()})
    write(
        tmp_path / "index",
        {"toy-1.0-py3-none-any.whl": zipped({**PACKED, **info}), "toy-1.0.tar.gz": sdist},
    )
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "index"),
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    return tmp_path / "index"


def pypi(index: Path, distribution: str, members: list[str]) -> dict[str, object]:
    """Fields of the spec, with the right hash."""
    name = {"wheel": "toy-1.0-py3-none-any.whl", "sdist": "toy-1.0.tar.gz"}[distribution]
    number = folders.sha256(index / name)
    return {
        "kind": "pypi", "package": "toy", "version": "1.0", "distribution": distribution,
        "sha256": number, "members": members,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("distribution", "members"),
    [("wheel", ["pkg/data"]), ("sdist", ["toy-1.0/in.zip", "pkg/data"])],
    ids=["wheel", "sdist"],
)
def test_pypi_gives_the_member_of_the_distribution(
    root: Path, out: Path, index: Path, distribution: str, members: list[str]
) -> None:
    """The declared one of the two files is taken, and what is in it."""
    build(root, out, **pypi(index, distribution, members))
    assert read(out) == DATA
    assert Path(os.environ["RAN"]).exists() == (distribution == "sdist")


@pytest.mark.parametrize("distribution", ["wheel", "sdist"])
def test_pypi_with_another_hash_gives_nothing_and_runs_nothing(
    root: Path, out: Path, index: Path, distribution: str
) -> None:
    """The error names both hashes, and the build of a source distribution, which pip runs, has not
    been run."""
    fields = pypi(index, distribution, ["pkg/data"])
    error = refused(out, lambda: build(root, out, **{**fields, "sha256": WRONG}))
    assert (
        error.place == f"toy==1.0 ({distribution})"
        and fields["sha256"] in error.found
        and WRONG in error.found
    )
    assert not Path(os.environ["RAN"]).exists()


def test_pypi_without_the_file_gives_nothing(root: Path, out: Path, index: Path) -> None:
    """A version that is not there, and a version that is there only as the other distribution."""
    fields = pypi(index, "wheel", ["pkg/data"])
    error = refused(out, lambda: build(root, out, **{**fields, "version": "1.1"}))
    assert (
        error.place == "toy==1.1 (wheel)"
        and "no such file" in error.found
        and "toy==1.1" in error.remedy
    )
    next(index.glob("*.whl")).unlink()
    assert "no such file" in refused(out, lambda: build(root, out, **fields)).found


SCRIPTS = {"preinstall": "touch $RAN", "prepare": "touch $RAN", "prepack": "touch $RAN"}
TOY = {"dist/a.js": b"a;\n", "dist/deep/b.wasm": bytes(range(256)), "LICENSE": b"free\n"}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The SHA-256 of @own/toy 1.0.0, the only package of a registry; its scripts touch `ran`."""
    if shutil.which("npm") is None:
        pytest.skip("no npm: install node")
    about = {"name": "@own/toy", "version": "1.0.0", "scripts": SCRIPTS}
    files = {"package.json": json.dumps(about).encode(), **TOY}
    packed = tarred({f"package/{path}": content for path, content in files.items()})
    write(tmp_path / "registry", {"toy.tgz": packed})

    class Registry(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/@own%2ftoy":
                return super().do_GET()
            tarball = f"http://127.0.0.1:{server.server_port}/toy.tgz"
            dist = {"tarball": tarball, "shasum": hashlib.sha1(packed).hexdigest()}
            body = json.dumps({
                "name": "@own/toy",
                "dist-tags": {"latest": "1.0.0"},
                "versions": {"1.0.0": about | {"dist": dist}},
            }).encode()  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            return self.wfile.write(body) and None

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Registry, directory=str(tmp_path / "registry"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "npm_config_registry": f"http://127.0.0.1:{server.server_port}/",
        "npm_config_userconfig": os.devnull,
        "npm_config_fetch_retries": "0",
        "RAN": str(tmp_path / "ran"),
    }.items():
        monkeypatch.setenv(name, value)
    yield sha256(packed)
    server.shutdown()


def npm(number: str, *files: str, **more: object) -> dict[str, object]:
    """Fields of the spec."""
    own = {"kind": "npm", "package": "@own/toy", "version": "1.0.0", "sha256": number}
    return {**own, "members": list(files), **more}


def test_npm_gives_files_of_the_package(root: Path, out: Path, registry: str) -> None:
    """Each under its own name, and no script of the package is run."""
    build(root, out, **npm(registry, "dist/deep/b.wasm", "LICENSE"))
    assert read(out) == {"b.wasm": TOY["dist/deep/b.wasm"], "LICENSE": b"free\n"}
    assert not Path(os.environ["RAN"]).exists()


def test_npm_with_something_else_gives_nothing(
    root: Path, out: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another hash, a file that is missing or a folder, another version, no npm."""
    error = refused(out, lambda: build(root, out, **npm(WRONG, "LICENSE")))
    assert registry in error.found and WRONG in error.found
    error = refused(out, lambda: build(root, out, **npm(registry, "LICENSE", "dist/c.js")))
    assert "'package/dist/c.js' is not in" in error.found
    error = refused(out, lambda: build(root, out, **npm(registry, "LICENSE", "dist")))
    assert error.found == "'dist' is a folder"
    error = refused(out, lambda: build(root, out, **npm(registry, "LICENSE", version="1.0.1")))
    assert error.place == "@own/toy@1.0.1 (npm)" and "1.0.1" in error.remedy
    monkeypatch.setenv("PATH", str(root))
    error = refused(out, lambda: build(root, out, **npm(registry, "LICENSE")))
    assert "no npm" in error.found
    with pytest.raises(ValidationError, match="two files called b"):
        build(root, out, **npm(registry, "a/b", "c/b"))


REVISION = "0123456789abcdef0123456789abcdef01234567"
SNAPSHOT = {
    "config.json": b"{}",
    "deep/tokenizer.json": b'{"a": 1}',
    "empty.json": b"",
    "weights.bin": bytes(1000),
    "x.md": b"#",
}
TAKEN = {path: content for path, content in SNAPSHOT.items() if path.endswith(".json")}


def stage(root: Path, endpoint: str, **changes: object) -> subprocess.CompletedProcess[str]:
    """Run the stage as DVC does, on a source of the hub at `endpoint`; each change is to a field of
    a right spec."""
    spec = {
        "kind": "huggingface",
        "repo": "me/toy",
        "repo_type": "model",
        "revision": REVISION,
        "allow": ["*.json"],
    }
    numerics = {"seed": 0, "threads": 1, "precision": "fp32", "instructions": "avx2"}
    spec = {**spec, "sha256": folder_sha256(TAKEN), **changes}
    document = {"sources": {"toy": spec}, "numerics": numerics, "machine": {"device": "cpu"}}
    (root / "params.yaml").write_text(json.dumps(document))
    shutil.copytree(
        ROOT / "stages",
        root / "stages",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name, text in compiler.outputs(Project.model_validate(document), root).items():
        (root / name).write_text(text)
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(root / "home"),
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "lmspec.run", "sources", "toy"]
    return subprocess.run(
        command,
        cwd=root,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with the repository me/toy at REVISION."""
    with Hub("me/toy", REVISION, SNAPSHOT) as running:
        yield running


def test_huggingface_gives_the_allowed_files_and_no_others(root: Path, hub: Hub) -> None:
    """Files that match no pattern are not even asked for, and the client's bookkeeping stays
    behind."""
    run = stage(root, hub.endpoint)
    assert (run.returncode, run.stderr) == (0, "")
    assert read(root / "data/sources/toy") == TAKEN
    assert {
        path.rpartition(f"{REVISION}/")[2] for method, path in hub.asked if "/resolve/" in path
    } == set(TAKEN)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (
            {"sha256": WRONG},
            f"its SHA-256 is {folder_sha256(TAKEN)}, and the spec declares {WRONG}",
        ),
        ({"revision": "f" * 40}, "the hub did not give it: RevisionNotFoundError"),
        ({"repo": "me/none"}, "the hub did not give it: RepositoryNotFoundError"),
        ({"allow": ["*.safetensors"]}, "no file matches ['*.safetensors']"),
    ],
    ids=["hash", "revision", "repo", "allow"],
)
def test_huggingface_that_is_not_as_declared_gives_nothing(
    root: Path, hub: Hub, changes: dict[str, object], found: str
) -> None:
    """Another hash, a revision or repository that is not there, a pattern that matches nothing: one
    message each."""
    run = stage(root, hub.endpoint, **changes)
    assert run.returncode == 1 and found in run.stderr and "Traceback" not in run.stderr
    assert (
        f"lmspec: {changes.get('repo', 'me/toy')}@{changes.get('revision', REVISION)[:12]}: "
        in run.stderr
    )
    assert list((root / "data/sources").iterdir()) == []
