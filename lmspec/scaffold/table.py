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
from lmspec.scaffold import quoting, refusals
from lmspec.specs.corpus import Table

UNNAMED = "(not named)"
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
        return name_of(self.path)


def name_of(path: Path) -> str:
    """A name for artifacts, made from a file's."""
    stem = path.stem.lower().replace("ß", "ss")
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
    return (words if words[:1].isalpha() else f"data-{words}".rstrip("-"))[:40]


def read(path: Path, text: str | None, label: str | None) -> LabelledTable:
    """Raises LmspecError if a classifier cannot be built from it, with the columns it has."""
    refusals.require_table(path)
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
    refusals.require_enough(path, label, distinct, counts)
    notes = [*quoting.described(form), *_absent(cells, reading.missing), *reading.notes]
    notes += _unnamed(form, label, counts)
    notes += [*_contradictions(ids, [name for _, name in rows]), *_rows_within(form, cells, values)]
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
    kind = refusals.FORMATS[path.suffix.lower()]
    if kind in quoting.USUAL:
        return {"kind": kind, "quoting": quoting.choose(path, kind), "columns": None}
    return {"kind": kind}


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
    columns = text or UNNAMED, label or UNNAMED
    try:
        return [(row[columns[0]], row[columns[1]]) for row in rawtable.rows(path, table)]
    except LmspecError as error:
        raise refusals.for_newcomers(path, bool(text and label), error) from None


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


def _unnamed(form: dict[str, Any], label: str, counts: Counter[str]) -> Iterator[str]:
    """Has the file no line of names, and its first row is taken for one?"""
    if form["kind"] in quoting.USUAL and label.strip() in counts:
        yield (
            f"{plaintext.shown(label)} is the name of the label column and one of its labels: if "
            "the first line is a row, write one with the columns' names above it"
        )


def _rows_within(form: dict[str, Any], cells: Cells, values: Counter[str]) -> Iterator[str]:
    pattern = swallowed.row_pattern(values)
    within = [swallowed.rows_within(content or "", pattern) for content, _ in cells]
    if any(within):
        row = next(row for row, lines in enumerate(within, start=1) if lines)
        content = cells[row - 1][0] or ""
        yield (
            f"texts that seem to hold other rows: {sum(map(bool, within)):,}, with {sum(within):,} "
            f"lines; the first is row {row}, {plaintext.shown(content)}: "
            f"{swallowed.question(form['kind'])}"
        )
