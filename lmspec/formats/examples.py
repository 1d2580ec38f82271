"""examples: one split as a model takes it: windows of token ids, and positions of labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec.errors import LmspecError, some
from lmspec.formats import documents
from lmspec.methods import coverage, packing
from lmspec.methods.reading import Ids, Reader, Windows


@dataclass(frozen=True)
class Examples:
    """n examples.

    windows    of their texts
    truth      (n,) positions of the labels
    documents  columns id and label, and those that were asked for
    """

    windows: Windows
    truth: NDArray[np.int64]
    documents: pl.DataFrame

    def described(self, split: str, reader: Reader, labels: tuple[str, ...]) -> Iterator[str]:
        """Lines for people: how much of the texts is read, and which labels none of them has."""
        names = self.documents["id"].to_list()
        yield f"{split}: {coverage.described(self.windows, reader, names)}"
        count = np.bincount(self.truth, minlength=len(labels))
        if absent := [label for label, n in zip(labels, count, strict=True) if n == 0]:
            yield f"warning: {split} has no text with the label {some(absent)}"

    def require_two_labels(self, place: str) -> None:
        """Raise LmspecError if all texts have one label: there is nothing to learn."""
        if len(present := set(self.documents["label"])) == 1:
            found = f"all of its {len(self.truth):,} training texts are {present.pop()!r}"
            raise LmspecError(place, found, "give texts of another label, or another cut")

    def named(self, rows: Ids) -> list[str]:
        """Ids of the texts that some windows are of, each once."""
        texts = dict.fromkeys(self.windows.of_text[rows].tolist())
        return [str(self.documents["id"][text]) for text in texts]


def labels_of(splits: Path) -> tuple[str, ...]:
    """Labels of a splits folder, in the order of the model's outputs.

    Raises LmspecError if its texts have none.
    """
    if labels := documents.read_labels(splits):
        return tuple(labels)
    found = "its texts have no labels, which only `pretrained` does without"
    raise LmspecError(str(splits), found, "say where they are: `label` of the corpus's tables")


def read(
    splits: Path,
    split: str,
    reader: Reader,
    labels: tuple[str, ...],
    further: Sequence[str] = (),
    may_be_empty: bool = False,
) -> Examples:
    """Read and encode one split, of which neither all texts nor all tokens need to fit in memory.

    further  columns of `documents` beside id and label
    Raises LmspecError if it is empty, lacks a column, or has no labels or others than the model.
    """
    own = labels_of(splits)
    if own != labels:
        raise LmspecError(
            str(splits),
            f"its labels are {list(own)}, and the model's are {list(labels)}",
            "give both corpora the same `labels`, in the same order",
        )
    documents.require_columns(splits, split, further)
    frame = documents.read_split(splits, split, ["id", "label", *further])
    if frame.is_empty() and not may_be_empty:
        raise LmspecError(
            str(splits),
            f"its {split} split is empty",
            f"give `{split}` a fraction above 0, or more documents",
        )
    position = {label: i for i, label in enumerate(labels)}
    truth = np.asarray([position[label] for label in frame["label"]], np.int64)
    windows = reader.read(documents.Texts(splits, split), packing.of(reader))
    return Examples(windows, truth, frame)
