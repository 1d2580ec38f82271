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


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON, with every key that it has."""


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON (null is)")


# numbers stay as they are written
DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=_no_number
)


def rows(path: Path, wanted: set[str], place: str) -> Iterator[dict[str, str | None]]:
    """The wanted fields of each object as text; one that it lacks is None.

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
            yield {name: _text(row, name, number, place) for name in wanted}
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
    if isinstance(value, list) and not isinstance(value, _Pairs):
        raise LmspecError(place, f"line {number} is a JSON array", _lines_of(place))
    if not isinstance(value, _Pairs):
        raise LmspecError(place, f"line {number} is no object: {shown(line.strip())}", ONE_OBJECT)
    row = dict(value)
    if len(row) != len(value):
        key, _ = Counter(key for key, _ in value).most_common(1)[0]
        raise LmspecError(place, f"line {number} has the key {shown(key)} twice", "rename one")
    return row


JSONError = json.JSONDecodeError


def _lines_of(place: str) -> str:
    return f"{ONE_OBJECT}; `jq -c '.[]' {place.rpartition(' ')[2]} > NEW` writes that"


def _text(row: dict[str, Any], name: str, number: int, place: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        kind, text = ("an object", dict(value)) if isinstance(value, _Pairs) else ("a list", value)
        found = f"line {number} has {kind} in '{name}': {shown(json.dumps(text))}"
        raise LmspecError(place, found, "give each row one text and one label")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = ascii(value[error.start])[1:-1]
        found = f"line {number} has {half}, half a surrogate pair"
        remedy = "write both halves of the character, or leave it out"
        raise LmspecError(place, found, remedy) from None
    return str(value)
