"""worklist: rows for people to label: of a queue, or suspects; read by `lmspec label`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lmspec.errors import LmspecError
from lmspec.formats import documents

ROWS = "rows.jsonl"


class Row(NamedTuple):
    """A text, in the order in which it should be labelled.

    label      that it has; None of a pool
    suggested  that a classifier gives it; None if none was asked
    """

    id: str
    text: str
    table: str
    label: str | None
    suggested: str | None


def write(rows: Iterable[Row], labels: list[str], folder: Path) -> None:
    """Write one JSON object a line, and the labels to choose from."""
    lines = (json.dumps(row._asdict(), ensure_ascii=False) for row in rows)
    (folder / ROWS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    documents.write_labels(labels, folder)


def read(folder: Path) -> list[Row]:
    """The rows. Raises LmspecError if they are not there."""
    path = folder / ROWS
    if not path.is_file():
        remedy = "build it with `dvc repro`, or fetch it with `dvc pull`"
        raise LmspecError(str(folder), "it is not built here", remedy)
    # a line end within a text is escaped, but str.splitlines takes more for one
    lines = path.read_text(encoding="utf-8").split("\n")
    return [Row(**json.loads(line)) for line in lines if line]
