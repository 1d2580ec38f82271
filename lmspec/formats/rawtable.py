"""rawtable: a table of a source, in TSV, CSV, JSONL or Parquet; used columns are read as text."""

import codecs
import re
from pathlib import Path, PurePosixPath

import polars as pl

from lmspec.errors import LmspecError, some
from lmspec.specs.corpus import Delimited, Table, Typed

ESCAPE = re.compile(  # from left to right, so that `\\\\` is one
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..)|.)", re.DOTALL
)


def read(path: Path, table: Table) -> pl.DataFrame:
    """Rows in the order of the file; the columns that the spec names are strings, empty ones null.

    Raises LmspecError if the file is missing, does not parse, or lacks one of these columns.
    """
    place = f"{table.of} {table.file}"
    if not path.is_file():
        root = path.parents[len(PurePosixPath(table.file).parts) - 1]
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        raise LmspecError(place, "there is no such file in the source", f"it holds {some(names)}")
    wanted = {table.text, table.label.column} | ({table.group.column} if table.group else set())
    try:
        frame = _parse(path, table.format, place)
        frame = frame.with_columns(
            frame[name].cast(pl.String) for name in frame.columns if name in wanted
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise LmspecError(
            place, f"it does not parse as {table.format.kind}: {first}", "correct `format`"
        ) from error
    for name in sorted(wanted):
        if f"{name}_duplicated_0" in frame.columns:  # polars takes the first
            raise LmspecError(place, f"it has two columns '{name}'", "rename one of them")
    missing = sorted(wanted - set(frame.columns))
    if missing:
        raise LmspecError(place, f"it has no column {missing}", f"its columns are {frame.columns}")
    return frame.select(sorted(wanted))


def _parse(path: Path, form: Delimited | Typed, place: str) -> pl.DataFrame:
    if isinstance(form, Delimited):
        return pl.read_csv(
            path,
            separator="\t" if form.kind == "tsv" else ",",
            quote_char=None if form.quoting == "none" else '"',
            has_header=form.columns is None,
            new_columns=list(form.columns) if form.columns else None,
            infer_schema=False,
        )
    if form.kind == "parquet":
        return pl.read_parquet(path)
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    _require_whole_characters(content, place)
    return pl.read_ndjson(content, infer_schema_length=None)


def _require_whole_characters(content: bytes, place: str) -> None:
    """Raise LmspecError for half a surrogate pair in JSON, which polars reads as U+0000."""
    if not re.search(rb"\\u[dD][89a-fA-F]", content):
        return
    half = next((escape for escape in ESCAPE.finditer(content) if escape["half"]), None)
    if half is not None:
        line = content.count(b"\n", 0, half.start()) + 1
        found = f"line {line} has {half[0].decode(errors='replace')}, half a surrogate pair"
        raise LmspecError(place, found, "write both halves of the character, or leave it out")
