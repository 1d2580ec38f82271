"""quoting: how a CSV or TSV file quotes its fields, by reading it each way."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.formats import delimited
from lmspec.specs.tabular import Delimited

USUAL = {"csv": "double", "tsv": "none"}


def choose(path: Path, kind: str) -> str:
    """The one by which every row has as many fields as there are columns, and no row is lost.

    A quote that opens a field by chance can swallow the rows up to the next one: if the file parses
    without quoting too, and has more rows then, its quotes are text.
    """
    if not _a_field_begins_with_a_quote(path, kind):
        return USUAL[kind]
    quoted = {how: rows for how in ("double", "backslash") if (rows := _rows(path, kind, how))}
    how, fewer = next(iter(quoted.items()), (USUAL[kind], 0))
    return "none" if _rows(path, kind, "none") > fewer else how


def described(form: Mapping[str, Any]) -> Iterator[str]:
    """How a table's `format` has fields quoted, where that is not usual; for people."""
    how = form.get("quoting")
    if how is not None and how != USUAL[form["kind"]]:
        meaning = {
            "none": "quotes are part of the texts",
            "double": "fields are in quotes, which are no part of the texts",
            "backslash": 'fields are in quotes, and \\" is a quote',
        }
        yield f"{meaning[how]} (`quoting: {how}` in params.yaml)"


def _rows(path: Path, kind: str, quoting: str) -> int:
    """How many rows the file has, read that way; 0 if it does not parse."""
    form = Delimited.model_validate({"kind": kind, "quoting": quoting, "columns": None})
    try:
        return sum(1 for _ in delimited.rows(path, form, str(path)))
    except LmspecError:
        return 0


def _a_field_begins_with_a_quote(path: Path, kind: str) -> bool:
    opening = delimited.SEPARATORS[kind] + '"'
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return any(line[0] == '"' or opening in line for line in file if '"' in line)
