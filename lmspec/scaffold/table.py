"""table: texts and labels of a new project, read as its corpus stage will read them."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmspec.errors import LmspecError, some
from lmspec.formats import rawtable
from lmspec.methods import folders
from lmspec.methods.cleaning import document_id
from lmspec.specs.corpus import Table

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
UNNAMED = "(not named)"
FEWEST_ROWS = 30
MOST_LABELS = 50
LONGEST_LABEL = 100


@dataclass(frozen=True)
class LabelledTable:
    """A file with a text and a label in each row.

    text, label  names of its columns
    lengths      characters of each text that has a label
    labels       label -> number of rows, numbers in their order, then the others
    """

    path: Path
    text: str
    label: str
    lengths: list[int]
    labels: dict[str, int]

    @property
    def name(self) -> str:
        """A name for its artifacts, made from the file's."""
        stem = self.path.stem.lower().replace("ß", "ss")
        plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
        words = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
        return (words if words[:1].isalpha() else f"data-{words}".rstrip("-"))[:40]


def read(path: Path, text: str | None, label: str | None) -> LabelledTable:
    """Raises LmspecError if a classifier cannot be built from it, with the columns it has."""
    if path.suffix.lower() not in FORMATS:
        raise LmspecError(str(path), f"it is no {', '.join(FORMATS)}", "convert it to one of these")
    if not path.is_file():
        raise LmspecError(str(path), "there is no such file", "correct --data")
    spec = {
        "name": "data",
        "of": "sources.data",
        "file": path.name,
        "format": format_of(path),
        "missing": [""],
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
    try:
        frame = rawtable.read(path, table)
    except LmspecError as error:
        raise _for_newcomers(path, bool(text and label), error) from None
    if text is None or label is None:
        raise LmspecError(str(path), f"a column is called {UNNAMED}", "name --text and --label")
    rows = [
        (row[text], row[label])
        for row in frame.iter_rows(named=True)
        if (row[text] or "").strip() and row[label]
    ]
    counts = Counter(value for _, value in rows)
    _require_enough(path, label, len({document_id(content) for content, _ in rows}), counts)
    labels = dict(sorted(counts.items(), key=lambda item: (_number(item[0]), item[0])))
    return LabelledTable(path, text, label, [len(content) for content, _ in rows], labels)


def format_of(path: Path) -> dict[str, Any]:
    """A table's `format` in params.yaml."""
    kind = FORMATS[path.suffix.lower()]
    quoting = {"csv": "double", "tsv": "none"}.get(kind)
    return {"kind": kind} | ({"quoting": quoting, "columns": None} if quoting else {})


def _for_newcomers(path: Path, named: bool, error: LmspecError) -> LmspecError:
    """An error of the table reader, for someone who has no params.yaml yet.

    named  did the user name both columns?
    """
    one_column = re.search(r"\['([^',]*[;\t][^',]*)'\]", error.remedy)
    found, remedy = error.found, error.remedy
    if "does not parse" in found:
        remedy = (
            "a .csv has commas, a .tsv tabs, both UTF-8 with a header line; "
            "spreadsheets save that as `CSV UTF-8`"
        )
    elif one_column:
        found = f"it has one column, '{one_column[1]}'"
        remedy = "separate the columns with commas, or tabs in a .tsv"
    elif not named:
        found = "which columns hold the text and the label?"
        remedy = f"give --text and --label: {remedy}"
    return LmspecError(str(path), found, remedy)


def _require_enough(path: Path, label: str, texts: int, counts: Counter[str]) -> None:
    column = f"{path}: {label}"
    if len(counts) > MOST_LABELS:
        raise LmspecError(
            column,
            f"it has {len(counts):,} different values, such as {some(list(counts)[:3])}",
            f"name a column with at most {MOST_LABELS} labels; for a score, write "
            "`label: {kind: threshold, ...}` by hand",
        )
    if len(counts) < 2:
        raise LmspecError(
            column, f"it has {len(counts)} different labels", "a classifier needs two"
        )
    if texts < FEWEST_ROWS:
        found = f"it has {texts} different texts with a label"
        raise LmspecError(str(path), found, f"a model needs at least {FEWEST_ROWS}")
    if (longest := max(map(len, counts))) > LONGEST_LABEL:
        raise LmspecError(
            column, f"a label has {longest} characters", "is this the column of the labels?"
        )


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return float("inf")
