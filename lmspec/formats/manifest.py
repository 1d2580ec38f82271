"""manifest: what a bundle consists of: the SHA-256 of each file, its origin, the service's limits.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "manifest.json"
VERSION = 1
MOST_BYTES = 2**20  # of the manifest; it has a line for each file
PART = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
PLAIN = re.compile(f"{PART}(?:/{PART})*")  # no path leaves the bundle
DIGEST = re.compile("[0-9a-f]{64}")
AGAIN = "copy the bundle again, or build it again with `dvc repro`"


class Damaged(Exception):
    """A bundle that is not as it was built: the file, what was found, and what to do."""

    def __init__(self, file: str, found: str, remedy: str = AGAIN) -> None:
        super().__init__(f"{file}: {found}: {remedy}")
        self.file, self.found, self.remedy = file, found, remedy


@dataclass(frozen=True)
class Manifest:
    """What the file says.

    title      of the bundle
    made_from  artifact -> SHA-256 of its folder, as its provenance has it
    serving    limits of the service; None: those of the server
    files      path -> SHA-256
    digest     SHA-256 of the manifest, and so of the bundle
    """

    title: str
    made_from: Mapping[str, str]
    serving: Mapping[str, Any] | None
    files: Mapping[str, str]
    digest: str


def write(
    folder: Path, title: str, made_from: Mapping[str, str], serving: Mapping[str, Any] | None
) -> None:
    """Write it beside the files that it lists: all that are there, in folders, too."""
    files = {name: path for name, path in _files(folder) if name != NAME}
    values = {
        "version": VERSION,
        "title": title,
        "made_from": dict(made_from),
        "serving": serving if serving is None else dict(serving),
        "files": {name: _sha256(path) for name, path in files.items()},
    }
    text = json.dumps(values, ensure_ascii=False, indent=1)
    (folder / NAME).write_text(f"{text}\n", encoding="utf-8", newline="\n")


def checked(folder: Path, needed: Iterable[str], optional: Iterable[str] = ()) -> Manifest:
    """The manifest of a bundle whose files are those that were built, `needed` among them.

    Files that it does not list are not looked at, unless they are `optional`: those are read if
    they are there. Raises Damaged, OSError.
    """
    manifest = read(folder)
    for name in needed:
        if name not in manifest.files:
            raise Damaged(NAME, f"it does not list {name}")
    for name in optional:
        if name not in manifest.files and (folder / name).exists():
            raise Damaged(name, "the manifest does not list it")
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Damaged(name, "the file is missing")
        found = _sha256(path)
        if found != digest:
            raise Damaged(
                name,
                f"it is not the file that was built: its SHA-256 is {found[:16]}..., and the "
                f"manifest has {digest[:16]}...",
            )
    return manifest


def read(folder: Path) -> Manifest:
    """Parse the manifest, without a look at the files. Raises Damaged, OSError."""
    path = folder / NAME
    if not path.is_file():
        raise Damaged(NAME, "the file is missing")
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    try:
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        values = json.loads(content.decode("utf-8"))
        version = values["version"]
        if version == VERSION:
            return _parsed(values, hashlib.sha256(content).hexdigest())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(NAME, f"it cannot be read ({error})") from None
    found = f"it is of version {version!r}, and this code reads version {VERSION}"
    raise Damaged(NAME, found, "use the code that the bundle came with")


def _parsed(values: Mapping[str, Any], digest: str) -> Manifest:
    """Raises ValueError, TypeError, KeyError, AttributeError."""
    files, made_from = values["files"], values["made_from"]
    for name, sha256 in files.items():
        if not PLAIN.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a file of a bundle")
        if not DIGEST.fullmatch(sha256):
            raise ValueError(f"{name} has no SHA-256")
    serving = values["serving"]
    if not (serving is None or isinstance(serving, dict)):
        raise TypeError("`serving` is no object")
    return Manifest(str(values["title"]), dict(made_from), serving, dict(files), digest)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(path from the folder, with forward slashes, file), sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    yield from ((path.relative_to(folder).as_posix(), path) for path in paths)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
