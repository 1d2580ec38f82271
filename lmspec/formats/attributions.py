"""attributions: explained texts on disk: their words, and what each adds to the answer."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec.formats import documents
from lmspec.methods.concordance import Attributed

FILE = "explained.parquet"
COLUMNS: dict[str, Any] = {
    "id": pl.String,
    "table": pl.String,
    "group": pl.String,
    "text": pl.String,
    "label": pl.String,
    "predicted": pl.String,
    "probability": pl.Float64,  # of the predicted label
    "cut": pl.String,  # hash of where the words are
    "starts": pl.List(pl.Int64),  # of each word in the text, in characters
    "ends": pl.List(pl.Int64),
    "attributions": pl.List(pl.Float64),
    "flipped": pl.List(pl.Int64),  # numbers of words without which the answer is another
    "comprehensiveness": pl.Float64,
    "sufficiency": pl.Float64,
}
OF_ANSWERS: dict[str, Any] = {  # further columns of models that write
    "answer": pl.String,  # hash of its tokens
    "tokens": pl.List(pl.String),  # "" of one whose character ends in a later one
    "lost": pl.List(pl.List(pl.Float64)),  # nats that each token loses without each word
    "reference": pl.String,  # what the answer should be; empty if it is that
}


def write(rows: list[dict[str, object]], labels: tuple[str, ...], out: Path) -> None:
    """Write the table, and the labels of the model."""
    schema = COLUMNS | OF_ANSWERS if "answer" in rows[0] else COLUMNS
    documents.write(pl.DataFrame(rows, schema=schema), out / FILE)
    documents.write_labels(labels, out)


def read(folder: Path) -> pl.DataFrame:
    """Read the table."""
    return pl.read_parquet(folder / FILE)


def by_id(folder: Path) -> dict[str, Attributed]:
    """Id -> explanation of each text."""
    frame = read(folder)
    answer = "answer" if "answer" in frame.columns else "predicted"
    columns = ("id", "cut", answer, "attributions")
    return {
        name: Attributed(cut, predicted, np.array(attributions))
        for name, cut, predicted, attributions in frame.select(columns).iter_rows()
    }
