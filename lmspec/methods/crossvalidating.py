"""crossvalidating: rows in folds; what is learned, watched and answered in each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmspec.errors import LmspecError, some
from lmspec.methods import folds, splitting

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """n rows that are folded.

    ids     (n,) common ids: equal for the same text
    truth   (n,) positions of the labels
    labels  names by their positions
    units   positions that stay in one fold; each position is in exactly one
    """

    ids: Sequence[str]
    truth: Ints
    labels: Sequence[str]
    units: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that are learned, watched (empty: others are), and answered."""

    train: Ints
    dev: Ints
    held_out: Ints


def assigned(rows: Rows, count: int, seed: int, place: str) -> Ints:
    """(n,) fold of each row: labels in proportion, units undivided; the same for every model.

    Raises LmspecError if there are too few units, of all rows or of a label, for so many folds.
    """
    units = Counter(label for unit in rows.units for label in {*rows.truth[list(unit)].tolist()})
    fewest = min(len(rows.units), *(units[i] for i in range(len(rows.labels))))
    if fewest < count:
        few = [f"{rows.labels[i]!r} ({n})" for i, n in sorted(units.items()) if n < count]
        absent = [repr(name) for i, name in enumerate(rows.labels) if not units[i]]
        found = f"{len(rows.units)} groups of rows are too few for {count} folds"
        if few or absent:
            found = f"too few groups of rows for {count} folds have the label {some(few + absent)}"
        remedy = f"lower `folds` to {fewest}, or label more rows"
        remedy = remedy if fewest > 1 else "label more rows, or leave the label out of the corpus"
        raise LmspecError(place, found, remedy)
    return folds.assigned(rows.units, rows.truth, count, seed)


def each(rows: Rows, fold: Ints, dev: float | None, seed: int, place: str) -> Iterator[Fold]:
    """The folds in their order.

    dev  share of the rows of the other folds, in proportion and by units; None: no dev part
    Raises LmspecError if a text is both answered and learned, or a label is not learned.
    """
    for number in range(int(fold.max()) + 1):
        held_out, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        learned = np.ones(len(others), np.bool_)
        if dev is not None:
            learned = _learned(rows, others, dev, seed)
        found = Fold(others[learned], others[~learned], held_out)
        require_apart(rows, found, place)
        lacking = {*range(len(rows.labels))} - {*rows.truth[found.train].tolist()}
        if lacking or (dev is not None and not len(found.dev)):
            names = [repr(rows.labels[i]) for i in sorted(lacking)]
            what = f"learns from no text with the label {some(names)}" if lacking else "has no dev"
            remedy = "label more rows, or change `folds` or `dev`"
            raise LmspecError(place, f"fold {number + 1} {what}", remedy)
        yield found


def _learned(rows: Rows, others: Ints, dev: float, seed: int) -> NDArray[np.bool_]:
    """(others,) which are learned, not watched."""
    position = {row: i for i, row in enumerate(others.tolist())}
    units = [[position[i] for i in unit] for unit in rows.units if unit[0] in position]
    ids = [rows.ids[i] for i in others]
    strata = rows.truth[others].tolist()
    parts = splitting.assign(units, ids, strata, (1 - dev, dev, 0.0), seed)
    return np.asarray([part == "train" for part in parts], np.bool_)


def require_apart(rows: Rows, fold: Fold, place: str) -> None:
    """Raise LmspecError if a text that is answered is learned or watched, too."""
    seen = {rows.ids[i] for i in (*fold.train, *fold.dev)}
    if known := [rows.ids[i] for i in fold.held_out if rows.ids[i] in seen]:
        found = f"{len(known)} texts are both answered and learned: {some(known)}"
        raise LmspecError(place, found, "this is a fault of lmspec: please report it")
