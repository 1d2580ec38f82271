"""foldanswers: what the model of one fold answered, kept until `folds` is done.

Its folder is named after all that answers depend on (run/resuming.py), so a file in it is of the
same rows, folds and training.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from lmspec.formats import digested

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
    digested.write(asdict(answers), folder / NAME)


def read(folder: Path) -> FoldAnswers | None:
    """None if there are none. Raises OSError, or ValueError if they are damaged."""
    found = digested.read(folder / NAME)
    return None if found is None else FoldAnswers(**found)
