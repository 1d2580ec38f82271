"""table: texts and labels of a new project, read as its corpus stage will read them."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmspec.errors import LmspecError, some
from lmspec.formats import plaintext, rawtable
from lmspec.methods import folders, swallowed
from lmspec.methods.cleaning import document_id
from lmspec.scaffold import labels as label_column
from lmspec.scaffold import quoting
from lmspec.specs.corpus import Table

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
UNNAMED = "(not named)"
FEWEST_ROWS = 30
MOST_LABELS = 1000
FEWEST_PER_LABEL = 3  # rows on average; a column with fewer holds names or numbers, not labels
LONGEST_LABEL = 100
SAMPLE = 3000  # texts in which scripts and tokens are counted


@dataclass(frozen=True)
class LabelledTable:
    """A file with a text and a label in each row.

    text     name of its column
    spec     format, missing and label of the table in params.yaml
    lengths  characters of each text that has a label
    labels   label -> number of rows, numbers and bands in their order, then the others
    notes    what was decided or left out, for people
    distinct number of different texts that have a label
    sample   of the texts, evenly spaced
    """

    path: Path
    text: str
    spec: dict[str, Any]
    lengths: list[int]
    labels: dict[str, int]
    notes: list[str]
    distinct: int
    sample: list[str]

    @property
    def name(self) -> str:
        """A name for its artifacts, made from the file's."""
        stem = self.path.stem.lower().replace("ß", "ss")
        plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
        words = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
        return (words if words[:1].isalpha() else f"data-{words}".rstrip("-"))[:40]


def read(path: Path, text: str | None, label: str | None) -> LabelledTable:
    """Raises LmspecError if a classifier cannot be built from it, with the columns it has."""
    _require_table(path)
    form = format_of(path)
    cells = _cells(path, form, text, label)
    if text is None or label is None:
        raise LmspecError(str(path), f"a column is called {UNNAMED}", "name --text and --label")
    values = Counter(value for _, value in cells if value is not None)
    words = {content.strip() for content, _ in cells if content and len(content) < 9}
    reading = label_column.read(label, values, words)
    rows = [
        (content, reading.label[value])
        for content, value in cells
        if content is not None and content.strip() not in reading.missing and value in reading.label
    ]
    counts = Counter(name for _, name in rows)
    ids = [document_id(content) for content, _ in rows]
    distinct = len(set(ids))
    _require_enough(path, label, distinct, counts)
    notes = [*_quoting(form), *_absent(cells, reading.missing), *reading.notes]
    notes += [*_contradictions(ids, [name for _, name in rows]), *_rows_within(cells, values)]
    return LabelledTable(
        path,
        text,
        {"format": form, "missing": reading.missing, "label": reading.rule},
        [len(content) for content, _ in rows],
        label_column.in_order(counts, reading.rule),
        notes,
        distinct,
        [content for content, _ in rows[:: math.ceil(len(rows) / SAMPLE)]],
    )


def format_of(path: Path) -> dict[str, Any]:
    """A table's `format` in params.yaml."""
    kind = FORMATS[path.suffix.lower()]
    if kind in quoting.USUAL:
        return {"kind": kind, "quoting": quoting.choose(path, kind), "columns": None}
    return {"kind": kind}


def _require_table(path: Path) -> None:
    if not path.is_file():
        raise LmspecError(str(path), "there is no such file", "correct --data")
    if path.suffix.lower() not in FORMATS:
        with path.open("rb") as file:
            first = file.read(400).decode(errors="replace").partition("\n")[0]
        raise LmspecError(
            str(path),
            f"it is no {', '.join(FORMATS)}; its first line is {plaintext.shown(first)}",
            "convert it to one of these: a .csv or .tsv needs a line with the columns' names",
        )


Cells = list[tuple[str | None, str | None]]


def _cells(path: Path, form: dict[str, Any], text: str | None, label: str | None) -> Cells:
    """Text and label of each row, as they are written."""
    spec: dict[str, Any] = {
        "name": "data",
        "of": "sources.data",
        "file": path.name,
        "format": form,
        "missing": [],
        "text": text or UNNAMED,
        "label": {
            "kind": "column",
            "column": label or UNNAMED,
            "values": "text",
            "rename": None,
        },
        "group": None,
    }
    try:
        table = Table.model_validate(spec)
    except ValidationError as error:
        what = "name" if "file" in error.errors()[0]["loc"] else "column names"
        remedy = "rename it: UTF-8, no control character, no backslash, at most 1,000 characters"
        raise LmspecError(folders.shown(path), f"no project can hold its {what}", remedy) from None
    columns = table.text, table.label.column
    try:
        return [(row[columns[0]], row[columns[1]]) for row in rawtable.rows(path, table)]
    except LmspecError as error:
        raise _for_newcomers(path, bool(text and label), error) from None


def _quoting(form: dict[str, Any]) -> Iterator[str]:
    how = form.get("quoting")
    if how is not None and how != quoting.USUAL[form["kind"]]:
        meaning = {
            "none": "quotes are part of the texts",
            "double": "fields are in quotes, which are no part of the texts",
            "backslash": 'fields are in quotes, and \\" is a quote',
        }
        yield f"{meaning[how]} (`quoting: {how}` in params.yaml)"


def _absent(cells: Cells, missing: Sequence[str]) -> Iterator[str]:
    """How many rows lack a text or a label, and what is in its place."""
    for what, column in (("text", 0), ("label", 1)):
        values = (row[column] for row in cells)
        absent = Counter(
            "null" if value is None else value.strip() or "empty"
            for value in values
            if value is None or value.strip() in missing
        )
        if absent:
            listed = some([f"{value} {rows:,}" for value, rows in absent.most_common()])
            yield f"rows without a {what}: {listed} (`missing` in params.yaml)"


def _contradictions(ids: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    first: dict[str, str] = {}
    different = {
        one for one, name in zip(ids, names, strict=True) if first.setdefault(one, name) != name
    }
    if different:
        yield (
            f"texts with more than one label: {len(different):,} "
            "(`contradictions: majority` in params.yaml)"
        )


def _rows_within(cells: Cells, values: Counter[str]) -> Iterator[str]:
    pattern = swallowed.row_pattern(values)
    within = [swallowed.rows_within(content or "", pattern) for content, _ in cells]
    if any(within):
        row = next(row for row, lines in enumerate(within, start=1) if lines)
        content = cells[row - 1][0] or ""
        yield (
            f"texts that seem to hold other rows: {sum(map(bool, within)):,}, with {sum(within):,} "
            f"lines; the first is row {row}, {plaintext.shown(content)}: is a quote not closed?"
        )


def _for_newcomers(path: Path, named: bool, error: LmspecError) -> LmspecError:
    """An error of the table reader, for someone who has no params.yaml yet.

    named  did the user name both columns?
    """
    one_column = re.fullmatch(r"its columns are '([^']*[;\t|][^']*)'", error.remedy)
    found, remedy = error.found, error.remedy
    if one_column:
        found = f"it has one column, {plaintext.shown(one_column[1])}"
        remedy = "separate the columns with commas, or tabs in a .tsv"
    elif "it has no column" in found and not named:
        found = "which columns hold the text and the label?"
        remedy = f"give --text and --label: {remedy}"
    return LmspecError(str(path), found, remedy)


def _require_enough(path: Path, label: str, texts: int, counts: Counter[str]) -> None:
    column = f"{path}: {label}"
    if len(counts) < 2:
        only = (
            f"every label is {plaintext.shown(next(iter(counts)))}" if counts else "it has no label"
        )
        raise LmspecError(column, only, "a classifier needs two")
    if len(counts) > min(MOST_LABELS, max(2, counts.total() // FEWEST_PER_LABEL)):
        raise LmspecError(
            column,
            f"it has {len(counts):,} different values in {counts.total():,} rows, such as "
            f"{some(list(counts)[:3])}",
            f"name a column with at most {MOST_LABELS:,} labels and {FEWEST_PER_LABEL} rows of "
            "each, or with a score",
        )
    if texts < FEWEST_ROWS:
        each = some(
            [f"{count} of {plaintext.shown(label)}" for label, count in counts.most_common()]
        )
        found = f"it has {texts} different texts with a label: {each}"
        raise LmspecError(str(path), found, f"a model needs at least {FEWEST_ROWS}")
    if (longest := max(map(len, counts))) > LONGEST_LABEL:
        raise LmspecError(
            column,
            f"a label has {longest} characters: {plaintext.shown(max(counts, key=len))}",
            "is this the column of the labels?",
        )
