"""sides: a file of the repository that says in which split a row is: `id,split` lines."""

import csv
from collections.abc import Mapping
from pathlib import Path

from lmspec.errors import LmspecError

COLUMNS = ("id", "split")
SPLITS = ("train", "dev", "test")


def read(root: Path, file: str) -> dict[str, str]:
    """id -> split. Raises LmspecError with the line of a mistake."""
    sides: dict[str, str] = {}
    try:
        with (root / file).open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            if tuple(next(rows, ())) != COLUMNS:
                remedy = "`lmspec data splits.NAME --sides FILE` writes such a file"
                raise LmspecError(f"{file}:1", "its first line is not `id,split`", remedy)
            for line, row in enumerate(rows, start=2):
                if len(row) != len(COLUMNS) or row[1] not in SPLITS:
                    found = f"{','.join(row)[:80]!r} is no id with a split"
                    raise LmspecError(f"{file}:{line}", found, f"write one of {', '.join(SPLITS)}")
                if sides.setdefault(row[0], row[1]) != row[1]:
                    found = f"{row[0]} is in {sides[row[0]]} above"
                    raise LmspecError(f"{file}:{line}", found, "keep one of the lines")
    except OSError as error:
        raise LmspecError(file, f"it cannot be read: {error.strerror}", "correct `sides`") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise LmspecError(file, f"it is no CSV in UTF-8: {error}", "correct it") from None
    return sides


def write(sides: Mapping[str, str], path: Path) -> None:
    """In the order of the ids, which says nothing of the texts."""
    lines = (f"{name},{split}\n" for name, split in sorted(sides.items()))
    path.write_text("".join([",".join(COLUMNS) + "\n", *lines]), encoding="utf-8", newline="\n")
