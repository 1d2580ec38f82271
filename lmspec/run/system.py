"""system: files of the system that params.yaml declares, by their hash, for stages to read."""

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError, harmless
from lmspec.methods import folders
from lmspec.run import declaration

FIELD = "numerics.system_files"


def files(values: Mapping[str, Mapping[str, Any]]) -> list[tuple[Path, str]]:
    """(absolute path, declared SHA-256) of each.

    values: file -> name -> value of the parameters
    """
    numerics = values[declaration.PARAMS].get("numerics") or {}
    return [(Path(file["path"]), file["sha256"]) for file in numerics.get("system_files") or ()]


def require(values: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise LmspecError if one of them is not here, or not what was declared."""
    for path, sha256 in files(values):
        place = f"{declaration.PARAMS}: {FIELD}"
        if not path.is_file():
            remedy = "install it, or build where it is"
            raise LmspecError(place, f"there is no file {path} on this machine", remedy)
        if folders.of_file(path) != sha256:
            found = f"{path} is not the file that was declared"
            raise LmspecError(place, found, f"install that one, or declare this one: {line(path)}")


def tell(path: Path) -> None:
    """Print the line that declares a file which a stage tried to read; nothing for another path."""
    with contextlib.suppress(OSError, LmspecError):  # unreadable for this process too, or no file
        if path.is_absolute():
            print(harmless(f"     {line(path)}"), file=sys.stderr)


def line(path: Path) -> str:
    """What declares a file, as an item of `numerics.system_files`."""
    return f"{{path: {path}, sha256: {folders.of_file(path)}}}"
