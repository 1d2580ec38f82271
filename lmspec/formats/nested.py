"""nested: rows of one JSON document, selected by a path of keys, positions and stars."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.formats import jsonlines
from lmspec.formats.jsonlines import Pairs
from lmspec.formats.plaintext import shown
from lmspec.specs.checks.turns import STAR
from lmspec.specs.turns import Key, Nested

MOST_BYTES = 2**28  # of a document, uncompressed
GZIP = b"\x1f\x8b"


def rows(
    path: Path, form: Nested, wanted: set[str], place: str, nested: frozenset[str] = frozenset()
) -> Iterator[dict[str, str | None]]:
    """The wanted columns of each row as text, those of `nested` as JSON.

    A key that an object lacks selects nothing; a cell that is not there is None. Raises LmspecError
    if it is no JSON, or if the path selects no row.
    """
    document = _parsed(path, place)
    columns = [column for column in form.columns if column.name in wanted]
    found = 0
    for stars, _ in _selected(document, form.rows, place):
        found += 1
        row: dict[str, str | None] = {}
        for column in columns:
            if isinstance(column, Key):
                row[column.name] = str(stars[column.star - 1])
            else:
                value = _at(document, column.at, stars)
                where = ".".join(map(str, _path(column.at, stars)))
                row[column.name] = jsonlines.cell(value, column.name, where, place, nested)
        yield row
    if not found:
        remedy = "correct `rows`" + _keys(document)
        raise LmspecError(place, f"{_shown(form.rows)} selects no row", remedy)


def _parsed(path: Path, place: str) -> Any:
    data = path.read_bytes()
    if data.startswith(GZIP):
        try:
            with gzip.open(path) as file:
                data = file.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise LmspecError(place, f"it is no whole gzip file: {error}", "fetch it again") from (
                None
            )
    if len(data) > MOST_BYTES:
        found = f"one JSON document of more than {MOST_BYTES // 2**20} MiB"
        raise LmspecError(place, found, "make a JSONL file of it, with a row a line")
    try:
        return jsonlines.DECODER.decode(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        found = f"it is not UTF-8: byte {error.start:,} is 0x{data[error.start]:02X}"
        raise LmspecError(place, found, "save it as UTF-8") from None
    except json.JSONDecodeError as error:
        line = error.doc.count("\n", 0, error.pos) + 1
        found = f"line {line} does not parse as JSON: {error.msg}"
        many = data.lstrip()[:1] == b"{" and error.msg == "Extra data"
        remedy = "write `kind: jsonl` for one object a line" if many else "correct it"
        raise LmspecError(place, found, remedy) from None
    except (ValueError, RecursionError) as error:
        raise LmspecError(place, f"it does not parse as JSON: {error}", "correct it") from None


def _selected(
    value: Any, steps: Sequence[str], place: str, stars: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """(what each star stands for, the value) of all that a path selects."""
    if not steps:
        yield stars, value
        return
    for key, below in _entries(value, steps[0], place, stars):
        found = (*stars, key) if steps[0] == STAR else stars
        yield from _selected(below, steps[1:], place, found)


def _entries(
    value: Any, step: str, place: str, stars: tuple[str | int, ...]
) -> Iterator[tuple[str | int, Any]]:
    if step != STAR:
        below = _below(value, step)
        if below is not None:
            yield step, below
    elif isinstance(value, Pairs):
        yield from jsonlines.unique(value, ".".join(map(str, stars)) or "the top", place).items()
    elif isinstance(value, list):
        yield from enumerate(value)
    elif value is not None:
        where = f" below {'.'.join(map(str, stars))}" if stars else ""
        found = f"`*` stands for the entries of an object or a list; there is {shown(str(value))}"
        raise LmspecError(place, found + where, "correct `rows`")


def _below(value: Any, step: str | int) -> Any:
    if isinstance(value, Pairs):
        return next((below for key, below in value if key == step), None)
    if isinstance(value, list) and (isinstance(step, int) or step.isdecimal()):
        return value[int(step)] if int(step) < len(value) else None
    return None


def _path(at: Sequence[str], stars: Sequence[str | int]) -> list[str | int]:
    left = iter(stars)
    return [next(left) if step == STAR else step for step in at]


def _at(value: Any, at: Sequence[str], stars: Sequence[str | int]) -> Any:
    for step in _path(at, stars):
        value = _below(value, step)
    return value


def _shown(steps: Sequence[str]) -> str:
    return "[" + ", ".join(steps) + "]"


def _keys(document: Any) -> str:
    return (
        f": its keys are {some([key for key, _ in document])}"
        if isinstance(document, Pairs) and document
        else ""
    )
