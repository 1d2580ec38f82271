"""traces: traced pairs on disk: what each token restores of the answer, layer by layer."""

from pathlib import Path
from typing import Any

import polars as pl

from lmspec.formats import documents

FILE = "traced.parquet"
COLUMNS: dict[str, Any] = {
    "id": pl.String,
    "one": pl.String,
    "other": pl.String,
    "answers": pl.List(pl.String),  # of the one, and of the other
    "log_odds": pl.List(pl.Float64),  # of the first answer against the second, of both texts
    "tokens": pl.List(pl.String),  # of the other text
    "word": pl.List(pl.Int64),  # numbers of those in which the texts differ
    "layers": pl.List(pl.String),
    "restored": pl.List(pl.List(pl.Float64)),  # layers, tokens
}


def write(rows: list[dict[str, object]], out: Path) -> None:
    """Write the table."""
    documents.write(pl.DataFrame(rows, schema=COLUMNS), out / FILE)


def read(folder: Path) -> pl.DataFrame:
    """Read the table."""
    return pl.read_parquet(folder / FILE)
