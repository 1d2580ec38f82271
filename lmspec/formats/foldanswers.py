"""foldanswers: what the model of one fold answered, kept until `folds` is done.

A line with the SHA-256 of what follows, then JSON. The folder is named after all that answers
depend on (run/resuming.py), so a file in it is of the same rows, folds and training.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lmspec.methods import resume

NAME = "answers"


@dataclass(frozen=True)
class FoldAnswers:
    """n held-out rows of a fold.

    probabilities            n of as many as there are labels
    tokens, unread, unknown  n of each: see methods/reading.py:Windows
    dev_rows                 rows on which the training stopped early
    """

    probabilities: list[list[float]]
    tokens: list[int]
    unread: list[int]
    unknown: list[int] | None
    dev_rows: int


def write(answers: FoldAnswers, folder: Path) -> None:
    """As a whole or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(answers))
    partial = folder / f"{NAME}.partial"
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(f"{_digest(text)}\n{text}\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(folder / NAME)
    resume.sync(folder)


def read(folder: Path) -> FoldAnswers | None:
    """None if there are none. Raises ValueError if they are damaged."""
    try:
        digest, _, text = (folder / NAME).read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    if digest != _digest(text.rstrip("\n")):
        raise ValueError(f"{folder.name}/{NAME} is damaged")
    return FoldAnswers(**json.loads(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
