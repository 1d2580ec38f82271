"""rawtable: a table of a source, in any of the formats; used columns are read as text."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from lmspec.errors import LmspecError, some
from lmspec.formats import delimited, jsonlines, nested, plaintext
from lmspec.specs.checks.corpus import read_columns
from lmspec.specs.corpus import Delimited, Table
from lmspec.specs.turns import Messages, MultipleChoice, Nested, PlainText

Row = dict[str, str | None]


def rows(path: Path, table: Table) -> Iterator[Row]:
    """Every row of the file, in its order: the columns that the spec names, as text.

    A column of conversations, or of lists of choices, is read as JSON.

    Raises LmspecError if the file is missing, does not parse, or lacks one of these columns.
    """
    place = f"{table.of} {table.file}"
    if not path.is_file():
        root = path.parents[len(PurePosixPath(table.file).parts) - 1]
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        raise LmspecError(place, "there is no such file in the source", f"it holds {some(names)}")
    wanted = {name for _, name in read_columns(table.model_dump())}
    lists: frozenset[str] = frozenset()
    if isinstance(table.turns, Messages):
        lists = frozenset({table.turns.column})
    elif isinstance(table.turns, MultipleChoice) and len(table.turns.choices) == 1:
        lists = frozenset(table.turns.choices)
    if isinstance(table.format, Nested):
        return nested.rows(path, table.format, wanted, place, lists)
    if isinstance(table.format, PlainText):
        return plaintext.rows(path, table.format.unit, place)
    if isinstance(table.format, Delimited):
        return _delimited(path, table.format, wanted, place)
    if table.format.kind == "jsonl":
        return jsonlines.rows(path, wanted, place, lists)
    return _parquet(path, wanted, place, lists)


def _delimited(path: Path, form: Delimited, wanted: set[str], place: str) -> Iterator[Row]:
    records = delimited.rows(path, form, place)
    names = next(records)
    plaintext.require_columns(names, wanted, place)
    columns = [(name, names.index(name)) for name in sorted(wanted)]
    for fields in records:
        yield {name: fields[i] for name, i in columns}


def _parquet(path: Path, wanted: set[str], place: str, lists: frozenset[str]) -> Iterator[Row]:
    try:
        schema = pl.read_parquet_schema(path)
        plaintext.require_columns(list(schema), wanted, place)
        for name in sorted(wanted):
            nested_text = schema[name].is_nested() and name not in lists
            if nested_text or schema[name] == pl.Binary:
                found = f"column '{name}' holds {schema[name]}, no text and no number"
                raise LmspecError(place, found, "give each row one text and one label")
        frame = pl.read_parquet(path, columns=sorted(wanted))
        numbers = [name for name in frame.columns if frame.schema[name].is_float()]
        texts = [name for name in frame.columns if not frame.schema[name].is_nested()]
        frame = frame.with_columns(pl.col(numbers).fill_nan(None))
        for row in frame.with_columns(pl.col(texts).cast(pl.String)).iter_rows(named=True):
            written = {name: row[name] for name in frame.columns if name not in texts}
            yield row | {
                name: None if value is None else json.dumps(value, ensure_ascii=False, default=str)
                for name, value in written.items()
            }
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise LmspecError(
            place, f"it does not parse as parquet: {first}", "correct `format`"
        ) from (error)
