"""wheel: the installed lmspec as a wheel, for the repository of a new project.

No package index has lmspec, so a name there would be somebody else's code.
Source: "Binary distribution format", packaging.python.org; sections on .dist-info and RECORD.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
FOLDER = "vendor"
TAGS = "Wheel-Version: 1.0\nGenerator: lmspec\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BEGINNING = (1980, 1, 1, 0, 0, 0)  # of time, in a zip


@dataclass(frozen=True)
class Wheel:
    """content: its bytes; the same files give the same ones."""

    name: str
    content: bytes

    @property
    def path(self) -> str:
        """In the project."""
        return f"{FOLDER}/{self.name}"

    @property
    def requirement(self) -> str:
        """Its line in requirements.txt: pip holds the file against the hash."""
        digest = hashlib.sha256(self.content).hexdigest()
        return f"file:{self.path}#sha256={digest}"


def of_installed() -> Wheel | None:
    """lmspec as it runs here; None if it is no installed package, but a folder on the path."""
    try:
        package = metadata.distribution("lmspec")
    except metadata.PackageNotFoundError:
        return None
    stem = f"lmspec-{package.version}"
    files = dict(_code())
    files |= {f"{stem}.dist-info/{name}": text for name, text in _about(package)}
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, BEGINNING)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, content)
    return Wheel(f"{stem}-py3-none-any.whl", stream.getvalue())


def _code() -> Iterator[tuple[str, bytes]]:
    """(name in the wheel, content) of the package; in its repository the recipes are in stages/."""
    for file in sorted(PACKAGE.rglob("*")):
        if file.is_file() and file.suffix not in (".pyc", ".pyo"):
            yield f"lmspec/{file.relative_to(PACKAGE).as_posix()}", file.read_bytes()
    if not (PACKAGE / "recipes").is_dir():
        for file in sorted((PACKAGE.parent / "stages").glob("*.py")):
            yield f"lmspec/recipes/{file.name}", file.read_bytes()


def _about(package: metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    yield "METADATA", (package.read_text("METADATA") or "").encode()
    yield "WHEEL", TAGS.encode()
    for name in ("entry_points.txt", "licenses/LICENSE"):
        if text := package.read_text(name):
            yield name, text.encode()


def _digest(content: bytes) -> str:
    """As RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
