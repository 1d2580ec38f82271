"""rowids: a file of rows, by their ids: one a line; what follows a # is a comment."""

import re
from pathlib import Path

from lmspec.errors import LmspecError

ID = re.compile(r"[0-9a-f]{16}")  # methods/cleaning.py:document_id
SHOWN = 60


def read(path: Path, place: str) -> frozenset[str]:
    """The ids. place: what messages call the file.

    Raises LmspecError if it cannot be read, is empty, or has a line that is no id.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise LmspecError(place, f"it cannot be read: {reason}", "correct the path") from error
    found = set()
    for number, line in enumerate(lines, start=1):
        name = line.partition("#")[0].strip()
        if name and not ID.fullmatch(name):
            remedy = "write the id of a row, as `lmspec data` and the column `id` have it"
            raise LmspecError(f"{place}:{number}", f"{name[:SHOWN]!r} is no id of a row", remedy)
        found |= {name} - {""}
    if not found:
        raise LmspecError(place, "it has no id", "write one a line, or do without the file")
    return frozenset(found)
