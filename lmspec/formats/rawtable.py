"""rawtable: a table of a source, in any of the formats; used columns are read as text."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from lmspec.errors import LmspecError, some
from lmspec.formats import delimited, jsonlines, nested, plaintext
from lmspec.specs.checks.corpus import read_columns
from lmspec.specs.corpus import Table
from lmspec.specs.ratings import Listed, RatingsLabel
from lmspec.specs.tabular import Delimited, Typed
from lmspec.specs.turns import Messages, MultipleChoice, Nested, PlainText

Row = dict[str, str | None]


def rows(path: Path, table: Table) -> Iterator[Row]:
    """Every row of the file, in its order: the columns that the spec names, as text.

    A column of conversations, or of lists of choices, is read as JSON.

    Raises LmspecError if the file is missing, does not parse, or lacks one of these columns.
    """
    place = f"{table.of} {table.file}"
    _require_file(path, table.file, place)
    wanted = {name for _, name in read_columns(table.model_dump())}
    lists: frozenset[str] = frozenset()
    if isinstance(table.turns, Messages):
        lists = frozenset({table.turns.column})
    elif isinstance(table.turns, MultipleChoice) and len(table.turns.choices) == 1:
        lists = frozenset(table.turns.choices)
    elif isinstance(table.label, RatingsLabel) and table.label.file is None:
        lists = listed(table.label)
    if isinstance(table.format, Nested):
        return nested.rows(path, table.format, wanted, place, lists)
    if isinstance(table.format, PlainText):
        return plaintext.rows(path, table.format.unit, place)
    return _plain(path, table.format, wanted, place, lists)


def ratings(folder: Path, table: Table) -> Iterator[Row]:
    """Every row of the ratings' file of a table, in its order. folder: of the source.

    Raises LmspecError as `rows`.
    """
    rule = table.label
    if not isinstance(rule, RatingsLabel) or rule.file is None:
        return rows(folder / table.file, table)
    place = f"{table.of} {rule.file.file}"
    path = folder / rule.file.file
    _require_file(path, rule.file.file, place)
    wanted = {rule.file.key, *rule.columns()}
    return _plain(path, rule.file.format, wanted, place, listed(rule))


def listed(rule: RatingsLabel) -> frozenset[str]:
    """The column that may hold lists."""
    return frozenset({rule.ratings.column} if isinstance(rule.ratings, Listed) else ())


def _require_file(path: Path, file: str, place: str) -> None:
    if not path.is_file():
        root = path.parents[len(PurePosixPath(file).parts) - 1]
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        raise LmspecError(place, "there is no such file in the source", f"it holds {some(names)}")


def _plain(
    path: Path, form: Delimited | Typed, wanted: set[str], place: str, lists: frozenset[str]
) -> Iterator[Row]:
    if isinstance(form, Delimited):
        return _delimited(path, form, wanted, place)
    if form.kind == "jsonl":
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
