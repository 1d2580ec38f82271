"""jsonlines: the rows of a file with one JSON object a line; anything else is refused."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.formats import plaintext
from lmspec.formats.plaintext import shown

ONE_OBJECT = 'it needs one object a line: {"text": "...", "label": "..."}'


class Pairs(list[tuple[str, Any]]):
    """An object of JSON, with every key that it has."""


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON (null is)")


# numbers stay as they are written
DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=str, parse_float=str, parse_constant=_no_number
)


def rows(
    path: Path, wanted: set[str], place: str, nested: frozenset[str] = frozenset()
) -> Iterator[dict[str, str | None]]:
    """The wanted fields of each object as text; one that it lacks is None.

    nested  those that may hold lists and objects: they are read as JSON

    Raises LmspecError with the line; at the end, if no object has a wanted field.
    """
    plaintext.require_utf8(path, place)
    names: dict[str, None] = {}
    with path.open(encoding="utf-8-sig") as file:  # no JSON text holds a bare CR or LF
        for number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            row = _object(line, number, place)
            names.update(dict.fromkeys(row))
            where = f"line {number}"
            yield {name: cell(row.get(name), name, where, place, nested) for name in wanted}
    plaintext.require_columns(list(names), wanted, place)


def _object(line: str, number: int, place: str) -> dict[str, Any]:
    try:
        value = DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        where = f", from {shown(line[error.pos :])}" if isinstance(error, JSONError) else ""
        reason = error.msg if isinstance(error, JSONError) else str(error)
        if number == 1 and line.lstrip()[:1] == "[":
            raise LmspecError(place, "it is a JSON array", _lines_of(place)) from None
        found = f"line {number} does not parse as JSON: {reason}{where}: {shown(line.strip())}"
        raise LmspecError(place, found, ONE_OBJECT) from None
    if isinstance(value, list) and not isinstance(value, Pairs):
        raise LmspecError(place, f"line {number} is a JSON array", _lines_of(place))
    if not isinstance(value, Pairs):
        raise LmspecError(place, f"line {number} is no object: {shown(line.strip())}", ONE_OBJECT)
    return unique(value, f"line {number}", place)


def unique(pairs: Pairs, where: str, place: str) -> dict[str, Any]:
    """An object as a dictionary. Raises LmspecError if it has a key twice."""
    row = dict(pairs)
    if len(row) != len(pairs):
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise LmspecError(place, f"{where} has the key {shown(key)} twice", "rename one")
    return row


JSONError = json.JSONDecodeError


def _lines_of(place: str) -> str:
    return f"{ONE_OBJECT}; `jq -c '.[]' {place.rpartition(' ')[2]} > NEW` writes that"


def cell(
    value: Any, name: str, where: str, place: str, nested: frozenset[str] = frozenset()
) -> str | None:
    """A value as text. Raises LmspecError for a list or an object, unless `nested` has its name."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        if name in nested:
            value = json.dumps(_plain(value, where, place), ensure_ascii=False)
        else:
            kind = "an object" if isinstance(value, Pairs) else "a list"
            text = dict(value) if isinstance(value, Pairs) else value
            found = f"{where} has {kind} in '{name}': {shown(json.dumps(text))}"
            raise LmspecError(place, found, "give each row one text and one label")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = ascii(value[error.start])[1:-1]
        found = f"{where} has {half}, half a surrogate pair"
        remedy = "write both halves of the character, or leave it out"
        raise LmspecError(place, found, remedy) from None
    return str(value)


def _plain(value: Any, where: str, place: str) -> Any:
    """With dictionaries for objects; numbers are texts, as they are written."""
    if isinstance(value, Pairs):
        found = unique(value, where, place).items()
        return {key: _plain(below, where, place) for key, below in found}
    if isinstance(value, list):
        return [_plain(below, where, place) for below in value]
    return value
