"""table_rules: what the files of tables say: the columns that they have, answers.

They are rules as those of language/rules.py. Files that are not here yet, that are too large to
read in passing, or that do not parse are left to the corpus stage.
"""

import csv
import difflib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lmspec.errors import some
from lmspec.language import on_disk
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.specs.checks.corpus import read_columns
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

MOST_READ = 64 * 2**20  # bytes
SEPARATORS = {"csv": ",", "tsv": "\t"}


def columns_are_in_the_file(specs: Specs) -> Disagreements:
    """A table is read for columns that its file has."""
    for name, i, table, path in _tables(specs):
        names = _names(path, table["format"])
        for steps, column in read_columns(table) if names else ():
            if column not in names:
                near = difflib.get_close_matches(column, names)
                shown = some([repr(one) for one in dict.fromkeys([*near, *names])])
                found = f"{table['file']} has no column '{column}'"
                yield Disagreement((*name, "tables", i, *steps), found, f"it has {shown}")


def answers_are_there(specs: Specs) -> Disagreements:
    """A model that writes learns answers: some row has one."""
    for name, i, table, path in _tables(specs):
        turns = table.get("turns")
        column = turns.get("answer") if turns else None
        if column is None or on_disk.size(path) > MOST_READ:
            continue
        if count := _rows_without(column, table, path):
            found = f"column '{column}' of {table['file']} is empty in all of {count:,} rows"
            remedy = "name the column that has the answers"
            yield Disagreement((*name, "tables", i, "turns", "answer"), found, remedy)


def _rows_without(column: str, table: Values, path: Path) -> int:
    """How many rows there are, if that column is empty in each; else 0."""
    lacking, count = {*table["missing"], "", None}, 0
    for row in _rows(path, table["format"]):
        if str(row.get(column) or "").strip() not in lacking:
            return 0
        count += 1
    return count


def _tables(specs: Specs) -> Iterator[tuple[ArtifactName, int, Values, Path]]:
    """(corpus, number, table, its file) of each table whose file is here."""
    for name, corpus in specs.of("corpus"):
        for i, table in enumerate(corpus["tables"]):
            source = specs[table["of"]]
            built = ArtifactName.parse(table["of"]).folder
            path = specs.root / (source["path"] if source["kind"] == "file" else built)
            path = path if on_disk.is_file(path) else path / table["file"]
            if on_disk.is_file(path):
                yield name, i, table, path


def _names(path: Path, form: Values) -> list[str]:
    """Columns of a file, by its first line; none if they are not known."""
    if form["kind"] not in SEPARATORS:
        return []
    return list(form["columns"] or next(_records(path, form), ()))


def _rows(path: Path, form: Values) -> Iterator[dict[str, Any]]:
    """The rows of a file of lines, up to one that does not parse."""
    if form["kind"] in SEPARATORS:
        records = _records(path, form)
        names = form["columns"] or next(records, [])
        yield from (dict(zip(names, record, strict=False)) for record in records)
    elif form["kind"] == "jsonl":
        with path.open(encoding="utf-8-sig") as file, suppress(ValueError, RecursionError):
            for line in file:
                row = None if line.isspace() else json.loads(line)
                if isinstance(row, dict):
                    yield row


def _records(path: Path, form: Values) -> Iterator[list[str]]:
    separator, unquoted = SEPARATORS[form["kind"]], form["quoting"] == "none"
    with path.open(encoding="utf-8-sig", newline="") as file, suppress(ValueError, csv.Error):
        yield from filter(
            None,
            csv.reader(file, delimiter=separator, quoting=csv.QUOTE_NONE)
            if unquoted
            else csv.reader(file, delimiter=separator),
        )


RULES = columns_are_in_the_file, answers_are_there
