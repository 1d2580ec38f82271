"""examples: one split as a model takes it: windows of token ids, and positions of labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.methods.reading import Ids, Reader, Windows


@dataclass(frozen=True)
class Examples:
    """n examples. windows: of their texts; truth: (n,) positions of the labels; documents: rows."""

    windows: Windows
    truth: NDArray[np.int64]
    documents: pl.DataFrame

    def named(self, rows: Ids) -> list[str]:
        """Ids of the texts that some windows are of, each once."""
        texts = dict.fromkeys(self.windows.of_text[rows].tolist())
        return [str(self.documents["id"][text]) for text in texts]


def read(splits: Path, split: str, reader: Reader, labels: tuple[str, ...]) -> Examples:
    """Read and encode one split.

    Raises LmspecError if it is empty, or has other labels than the model.
    """
    own = documents.read_labels(splits)
    if own != list(labels):
        raise LmspecError(
            str(splits),
            f"its labels are {own}, and the model's are {list(labels)}",
            "give both corpora the same `labels`, in the same order",
        )
    frame = documents.read_split(splits, split)
    if frame.is_empty():
        raise LmspecError(
            str(splits),
            f"its {split} split is empty",
            f"give `{split}` a fraction above 0, or more documents",
        )
    position = {label: i for i, label in enumerate(labels)}
    truth = np.asarray([position[label] for label in frame["label"]], np.int64)
    return Examples(reader.read(frame["text"].to_list()), truth, frame)
