"""rawtable: a table of a source, in TSV, CSV, JSONL or Parquet; used columns are read as text."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from lmspec.errors import LmspecError, some
from lmspec.formats import delimited, jsonlines, plaintext
from lmspec.specs.corpus import Delimited, Table

Row = dict[str, str | None]


def rows(path: Path, table: Table) -> Iterator[Row]:
    """Every row of the file, in its order: the columns that the spec names, as text.

    Raises LmspecError if the file is missing, does not parse, or lacks one of these columns.
    """
    place = f"{table.of} {table.file}"
    if not path.is_file():
        root = path.parents[len(PurePosixPath(table.file).parts) - 1]
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        raise LmspecError(place, "there is no such file in the source", f"it holds {some(names)}")
    wanted = {table.text} | {rule.column for rule in (table.label, table.group) if rule}
    if isinstance(table.format, Delimited):
        return _delimited(path, table.format, wanted, place)
    if table.format.kind == "jsonl":
        return jsonlines.rows(path, wanted, place)
    return _parquet(path, wanted, place)


def _delimited(path: Path, form: Delimited, wanted: set[str], place: str) -> Iterator[Row]:
    records = delimited.rows(path, form, place)
    names = next(records)
    plaintext.require_columns(names, wanted, place)
    columns = [(name, names.index(name)) for name in sorted(wanted)]
    for fields in records:
        yield {name: fields[i] for name, i in columns}


def _parquet(path: Path, wanted: set[str], place: str) -> Iterator[Row]:
    try:
        schema = pl.read_parquet_schema(path)
        plaintext.require_columns(list(schema), wanted, place)
        for name in sorted(wanted):
            if schema[name].is_nested() or schema[name] == pl.Binary:
                found = f"column '{name}' holds {schema[name]}, no text and no number"
                raise LmspecError(place, found, "give each row one text and one label")
        frame = pl.read_parquet(path, columns=sorted(wanted))
        numbers = [name for name in frame.columns if frame.schema[name].is_float()]
        yield from (
            frame.with_columns(pl.col(numbers).fill_nan(None)).cast(pl.String).iter_rows(named=True)
        )
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise LmspecError(
            place, f"it does not parse as parquet: {first}", "correct `format`"
        ) from (error)
