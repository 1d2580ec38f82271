"""plaintext: a text file is UTF-8, or refused with the line and its text."""

import codecs
import difflib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from lmspec.errors import LmspecError, some

CHUNK_BYTES = 1 << 20
SHOWN_CHARS = 60
MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def shown(text: str) -> str:
    """A part of a file in a message: quoted, and cut."""
    return repr(text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…")


def require_columns(names: Sequence[str], wanted: Iterable[str], place: str) -> None:
    """Raise LmspecError if a column is lacking, or there are two of its name."""
    for name in sorted(wanted):
        if names.count(name) > 1:
            raise LmspecError(place, f"it has two columns '{name}'", "rename one of them")
    missing = sorted(set(wanted) - set(names))
    if missing:
        near = difflib.get_close_matches(missing[0], names)
        absent = some([repr(name) for name in missing])
        columns = some([repr(name) for name in dict.fromkeys([*near, *names])])
        raise LmspecError(place, f"it has no column {absent}", f"its columns are {columns}")


def require_utf8(path: Path, place: str) -> None:
    """Raise LmspecError for another encoding, a wrong byte and U+0000, with the line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if offset == 0:
                _require_no_mark(chunk, path, place)
            if b"\0" in chunk:
                line = _line(path, offset + chunk.index(b"\0"))
                found = f"line {line} has a NUL byte, as UTF-16 and binary files do"
                raise LmspecError(place, found, "save it as UTF-8, or remove the byte")
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                _refuse(path, offset - held + error.start, place)
            offset += len(chunk)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            _refuse(path, offset - len(error.object), place)


def rows(path: Path, unit: str, place: str) -> Iterator[dict[str, str | None]]:
    """Each line, each paragraph or the whole of a file, as the column `text`; empty ones are none.

    Raises LmspecError if it is not UTF-8.
    """
    require_utf8(path, place)
    with path.open(encoding="utf-8-sig") as file:  # a CR ends a line, too
        if unit == "file":
            yield {"text": file.read()}
            return
        lines: list[str] = []
        for line in file:
            if not line.isspace():
                lines.append(line)
            if lines and (unit == "line" or line.isspace()):
                yield {"text": "".join(lines)}
                lines = []
        if lines:
            yield {"text": "".join(lines)}


def _require_no_mark(start: bytes, path: Path, place: str) -> None:
    name = next((name for mark, name in MARKS.items() if start.startswith(mark)), None)
    if name is not None:
        remedy = f"save it as UTF-8: {_converted(name, path)}"
        raise LmspecError(place, f"it is {name}, not UTF-8", remedy)


def _converted(encoding: str, path: Path) -> str:
    return f"`iconv -f {encoding} -t UTF-8 {shlex.quote(path.name)} > NEW`"


def _refuse(path: Path, offset: int, place: str) -> NoReturn:
    start = max(0, offset - 20)
    with path.open("rb") as file:
        file.seek(start)
        around = file.read(40)
    before, after = around[: offset - start], around[offset - start :]
    before = before[max(before.rfind(b"\n"), before.rfind(b"\r")) + 1 :]
    near = (before + after).splitlines()[0].decode("cp1252", errors="replace")
    found = f"line {_line(path, offset)} is not UTF-8: byte 0x{after[0]:02X}"
    raise LmspecError(
        place,
        f"{found}; as cp1252 it reads {shown(near)}",
        f"save it as UTF-8; if that reads right: {_converted('cp1252', path)}",
    )


def _line(path: Path, offset: int) -> int:
    """Number of the line that holds a byte; CR, LF and CRLF end a line."""
    with path.open("rb") as file:
        before = file.read(offset)
    return before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1
