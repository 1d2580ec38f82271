"""documents: the tables of a corpus and of its splits, as Parquet, and their labels."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lmspec.errors import LmspecError, some

GROUP = 2**16  # rows that are written and read at once

DOCUMENT = {
    "id": pl.String,
    "text": pl.String,
    "label": pl.String,
    "group": pl.String,
    "table": pl.String,
}
TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
# of a corpus for models that write
CONVERSATION: dict[str, Any] = {**DOCUMENT, "turns": TURNS}
# of one whose rows have several answers to choose from, the right one among them
MULTIPLE_CHOICE: dict[str, Any] = {**CONVERSATION, "choices": pl.List(pl.String)}
REJECTED = {
    "table": pl.String,
    "row": pl.Int64,
    "text": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "label": pl.String,
    "other_table": pl.String,
    "other_row": pl.Int64,
    "other_label": pl.String,
}


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write row groups of one size, zstd, no statistics: the same rows give the same bytes."""
    frame.rechunk().write_parquet(path, compression="zstd", statistics=False, row_group_size=GROUP)


def read(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read columns id, text, label, group (null: a group of its own), table; or some of them."""
    return pl.read_parquet(path, columns=None if columns is None else list(columns))


def read_split(splits: Path, split: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read the documents of one split (train, dev or test), ordered by id."""
    return read(splits / f"{split}.parquet", columns)


def kept_columns(splits: Path, split: str) -> list[str]:
    """The columns that a corpus keeps of its tables, beside its own."""
    present = pl.read_parquet_schema(splits / f"{split}.parquet")
    return [name for name in present if name not in MULTIPLE_CHOICE]


def require_columns(splits: Path, split: str, columns: Sequence[str]) -> None:
    """Raise LmspecError if a split lacks one of these columns."""
    for name in columns:
        if name not in MULTIPLE_CHOICE and name not in (kept := kept_columns(splits, split)):
            found = f"it has no column {name!r}; its corpus keeps {some(kept) if kept else 'none'}"
            raise LmspecError(str(splits), found, "add it to `keep` of the corpus's tables")


class Texts(Iterable[str]):
    """Texts of one split, in its order: read part by part, each time they are gone through."""

    def __init__(self, splits: Path, split: str) -> None:
        self.table = pl.scan_parquet(splits / f"{split}.parquet")

    def __iter__(self) -> Iterator[str]:
        start, texts = 0, self.table.select("text")
        while part := texts.slice(start, GROUP).collect()["text"].to_list():
            yield from part
            start += len(part)


def write_ids(ids: Iterable[str], folder: Path, part: str) -> None:
    """Write one common id (methods/cleaning.py) a line, in the order of <part>.parquet."""
    (folder / f"{part}.ids").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


def read_ids(folder: Path, part: str) -> list[str]:
    """Read the common id of each document: equal for the same text in every corpus."""
    return (folder / f"{part}.ids").read_text(encoding="utf-8").split()


def write_answers(ids: Iterable[str], folder: Path, part: str) -> None:
    """Write the id of each last answer (methods/conversing.py), in the order of <part>.parquet."""
    (folder / f"{part}.answers").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


def read_answers(folder: Path, part: str) -> list[str] | None:
    """Read the id of each last answer; None if the documents are no conversations."""
    path = folder / f"{part}.answers"
    return path.read_text(encoding="utf-8").split() if path.is_file() else None


def write_corpus(corpus: str, splits: Path) -> None:
    """Write which corpus was cut."""
    (splits / "corpus.txt").write_text(f"{corpus}\n", encoding="utf-8")


def read_corpus(splits: Path) -> str:
    """Read which corpus was cut: `corpus.reviews`."""
    return (splits / "corpus.txt").read_text(encoding="utf-8").strip()


def write_clean(clean: Mapping[str, bool], folder: Path) -> None:
    """Write how the texts of a corpus or splits folder were repaired (methods/repairing.py)."""
    (folder / "clean.json").write_text(json.dumps(dict(clean)) + "\n", encoding="utf-8")


def read_clean(folder: Path) -> dict[str, bool]:
    """Read how they were repaired: fix_unicode and unescape_html."""
    clean: dict[str, bool] = json.loads((folder / "clean.json").read_text(encoding="utf-8"))
    return clean


def write_counts(counts: Mapping[str, Any], folder: Path) -> None:
    """Write how many documents a corpus has, and of how many rows it left out, by reason."""
    (folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


def read_counts(folder: Path) -> dict[str, Any]:
    """Read documents, rejected and contradictions, as in the metrics of the corpus."""
    counts: dict[str, Any] = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    return counts


def read_labels(folder: Path) -> list[str]:
    """Read the labels of a corpus or splits folder, in the order of the model's outputs."""
    labels: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return labels


def write_labels(labels: tuple[str, ...] | list[str], folder: Path) -> None:
    """Write a JSON list."""
    (folder / "labels.json").write_text(
        json.dumps(list(labels), ensure_ascii=False) + "\n", encoding="utf-8"
    )
