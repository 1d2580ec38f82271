"""annotations: files of labels that people gave: read strictly, and added to line by line.

A file is CSV (RFC 4180) in UTF-8; its first line is HEADER. Lines are only added, also to take
something back, so that nothing is lost, and git shows who did what.
"""

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lmspec.errors import LmspecError
from lmspec.formats.plaintext import require_utf8, shown
from lmspec.methods import annotating
from lmspec.methods.annotating import Annotation

HEADER = ("id", "label", "annotator", "time", "list", "action")
CONFLICT = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")  # markers of git
CORRECTED = "corrected.json"


def read(path: Path, place: str) -> list[Annotation]:
    """All lines of a file, each with its place. Raises LmspecError with the line.

    place  what messages call the file
    """
    if not path.is_file():
        remedy = "correct the path; `lmspec label` writes such files"
        raise LmspecError(place, "there is no such file", remedy)
    require_utf8(path, place)
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        remedy = "restore it from git, or remove it: `lmspec label` begins another"
        raise LmspecError(place, "it is empty", remedy)
    if not text.endswith("\n"):
        line = text.count("\n") + 1
        found = f"its last line is cut off: {shown(text.rpartition(chr(10))[2])}"
        raise LmspecError(f"{place}:{line}", found, "complete it and its line end, or remove it")
    records = _records(text, place)
    header = next(records, (1, []))[1]
    if tuple(header) != HEADER:
        found = f"the first line is not {','.join(HEADER)}, but {shown(','.join(header))}"
        remedy = "correct it; of a spreadsheet, save the file as CSV with commas"
        raise LmspecError(f"{place}:1", found, remedy)
    return [_annotation(fields, f"{place}:{line}") for line, fields in records]


def _records(text: str, place: str) -> Iterator[tuple[int, list[str]]]:
    """(line, fields)."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        found = f"its quotes do not match: {error}"
        raise LmspecError(f"{place}:{line}", found, 'write "" for a quote') from error


def _annotation(fields: Sequence[str], place: str) -> Annotation:
    if fields[0].startswith(CONFLICT):
        found = f"git left a conflict: {shown(','.join(fields))}"
        remedy = "keep the lines of both and remove the three markers: lines are only added"
        raise LmspecError(place, found, remedy)
    if len(fields) != len(HEADER):
        count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        found = f"it has {count} instead of {len(HEADER)}: {shown(','.join(fields))}"
        remedy = f"a line has {','.join(HEADER)}: correct it, or restore the file from git"
        raise LmspecError(place, found, remedy)
    one = Annotation._make([*fields, place])
    one = one._replace(annotator=one.annotator.strip())  # who types " Ann" is Ann
    if fault := annotating.fault(one):
        raise LmspecError(place, *fault)
    return one


def read_all(root: Path, files: Sequence[str]) -> list[Annotation]:
    """The lines of several files, one after the other. files: relative to the root."""
    return [one for file in files for one in read(root / file, file)]


class Appending:
    """A file that annotations are added to; it is begun with the first one."""

    def __init__(self, path: Path, place: str) -> None:
        self.path, self.place = path, place

    def read(self) -> list[Annotation]:
        """What it holds; nothing if there is no file yet, or an empty one. Raises LmspecError.

        A file is empty if the first line did not reach the disk.
        """
        begun = self.path.exists() and (not self.path.is_file() or self.path.stat().st_size)
        return read(self.path, self.place) if begun else []

    def add(self, annotation: Annotation) -> None:
        """Write one line, and wait until the disk has it.

        Processes that add to one file take turns. Raises LmspecError for fields that `read`
        refuses, and if the file ends within a line; then nothing is written.
        """
        if fault := annotating.fault(annotation):
            raise LmspecError(self.place, *fault)
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = [] if file.seek(0, os.SEEK_END) else [HEADER]
            if not lines:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    found = "its last line is cut off"
                    raise LmspecError(self.place, found, "complete it, or remove it")
            stream = io.StringIO(newline="")
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerows([*lines, annotation[: len(HEADER)]])
            file.write(stream.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(self.path.parent)


def _sync_folder(folder: Path) -> None:
    """So that a new file survives a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Corrected(NamedTuple):
    """A row whose label is an annotation's. was: the label that its table gives, None if none."""

    was: str | None
    label: str
    place: str


def write_corrected(rows: Mapping[str, Corrected], folder: Path) -> None:
    """Write which rows of a corpus have labels of annotations: id -> was, label, place."""
    content = {name: row._asdict() for name, row in sorted(rows.items())}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / CORRECTED).write_text(f"{text}\n", encoding="utf-8")


def read_corrected(folder: Path) -> dict[str, Corrected]:
    """The same, read; empty if a corpus has no `corrections`."""
    path = folder / CORRECTED
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {name: Corrected(**row) for name, row in rows.items()}
