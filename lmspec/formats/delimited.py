"""delimited: the rows of a CSV or TSV file; what is no row as its format says is refused."""

import csv
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from lmspec.errors import LmspecError
from lmspec.formats.plaintext import require_utf8, shown
from lmspec.specs.tabular import Delimited

SEPARATORS = {"csv": ",", "tsv": "\t"}
SEPARATOR_NAMES = {"csv": "comma", "tsv": "tab"}
ESCAPED = re.compile(r'\\(["\\])')
# What Orange writes into the second line of its .tab files; the third has roles.
ORANGE_TYPES = {"", "string", "s", "continuous", "c", "discrete", "d", "time", "t"}


def rows(path: Path, form: Delimited, place: str) -> Iterator[list[str]]:
    """The names of the columns, then the fields of each row. Lines end in LF, CRLF or CR.

    Raises LmspecError with the line.
    """
    require_utf8(path, place)
    yield from _checked(path, form, place)


def _checked(path: Path, form: Delimited, place: str) -> Iterator[list[str]]:
    records = _records(path, form, place)
    if form.columns is None:
        header = next((fields for _, fields in records), None)
        if header is None:
            raise LmspecError(place, "it is empty", "it needs a line with the columns' names")
        if header[0].startswith("sep="):
            raise LmspecError(
                place, f"line 1 is {shown(header[0])}, which Excel reads", "remove it"
            )
    else:
        header = list(form.columns)
    yield header
    for line, fields in records:
        if len(fields) != len(header):
            _refuse_ragged(path, form, place, line, len(fields), len(header))
        if fields == header:
            remedy = "remove it: the files were put together with their header lines"
            raise LmspecError(place, f"line {line} repeats the names of the columns", remedy)
        if line == 2 and {*fields} - {""} and {*fields} <= ORANGE_TYPES:
            types = shown(" ".join(fields))
            found = f"lines 2 and 3 are no rows: types and roles, as Orange writes them: {types}"
            raise LmspecError(place, found, "remove both lines")
        yield fields


def _records(path: Path, form: Delimited, place: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, fields) of each record; empty lines are none."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines: Iterable[str] = file
        if form.quoting == "backslash":
            lines = (ESCAPED.sub(_doubled, line) if "\\" in line else line for line in file)
        reader = csv.reader(
            lines,
            delimiter=SEPARATORS[form.kind],
            quoting=csv.QUOTE_NONE if form.quoting == "none" else csv.QUOTE_MINIMAL,
            strict=True,
        )
        line = 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            _refuse_quotes(path, place, line, reader.line_num, str(error))


def _doubled(escaped: re.Match[str]) -> str:
    return '""' if escaped[1] == '"' else "\\"


def _refuse_quotes(path: Path, place: str, first: int, last: int, error: str) -> NoReturn:
    opening, text = _line(path, first), _line(path, last)
    if "end of data" in error:
        found = f"the quote that opens in line {first} is never closed: {shown(opening)}"
        remedy = "close it; if quotes are text here, write `quoting: none`"
    else:
        found = f"line {last} has more text after the quote that closes a field: {shown(text)}"
        if first != last:
            found += f"; that field begins in line {first}: {shown(opening)}"
        if '\\"' in opening + text:
            remedy = 'write `quoting: backslash`, which takes \\" for a quote'
        else:
            remedy = 'write "" for a quote within quotes; if quotes are text, `quoting: none`'
    raise LmspecError(place, found, remedy)


def _refuse_ragged(
    path: Path, form: Delimited, place: str, line: int, fields: int, columns: int
) -> NoReturn:
    found = f"line {line} has {fields} fields instead of {columns}"
    remedy = f"a field that holds a {SEPARATOR_NAMES[form.kind]} or a line break must be quoted"
    if form.quoting == "none":
        remedy += ", and `quoting` say how"
    raise LmspecError(place, f"{found}: {shown(_line(path, line))}", remedy)


def _line(path: Path, number: int) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(itertools.islice(file, number - 1, None), "").rstrip("\r\n")
