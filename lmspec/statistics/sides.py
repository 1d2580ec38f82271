"""sides: what a model answers on a test split, whatever kind of answer, and how it is measured."""

import abc
import functools
import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from lmspec.statistics.arrays import Bools, Floats, Interval, Ints


class Strata(NamedTuple):
    """Examples by table.

    numbers  (n,) number of the table of each; one of no table has a number beyond them
    tables   by their numbers
    """

    numbers: Ints
    tables: tuple[str, ...]

    def of(self, table: str | None) -> list[int]:
        """Numbers of the strata of a table, or of all."""
        if table is None:
            return list(range(int(self.numbers.max()) + 1))
        return [self.tables.index(table)]

    def rows(self, table: str | None) -> Ints:
        """Indices of the examples of a table, or of all."""
        if table is None:
            return np.arange(len(self.numbers))
        number = self.tables.index(table) if table in self.tables else -1
        return np.flatnonzero(self.numbers == number)


@dataclass(frozen=True)
class Side(abc.ABC):
    """The answers to one test split, a row an example: what all kinds of answers have.

    label, predicted  the right answer and the one given: equal where that is right
    kind              what its answers are, as messages call them
    relabelled        what an example is whose right answer changed
    """

    kind: ClassVar[str]
    relabelled: ClassVar[str]
    id: tuple[str, ...]
    table: tuple[str, ...]
    group: tuple[str, ...]
    label: tuple[str, ...]
    predicted: tuple[str, ...]

    @property
    def form(self) -> str:
        """What its answers are; those of another form cannot be compared with them."""
        return self.kind

    @abc.abstractmethod
    def rows(self, places: Sequence[int] | Ints) -> "Side":
        """Some of the examples, in that order."""

    @abc.abstractmethod
    def differs(self, other: Any, metric: str | None = None) -> Bools:
        """(n,) does a number beside the answer differ from that of the same kind of answers?

        metric  only numbers that it follows from, where they differ by metric
        """

    @abc.abstractmethod
    def counted(self, candidate: Any, at: Sequence[int | None]) -> "Side":
        """The candidate's answers to these examples, with their labels and tables.

        at  index of each example in the candidate; None if it is gone, and counts as wrong
        """

    @abc.abstractmethod
    def followed_by(self, other: Any) -> "Side":
        """These examples, then others."""

    @functools.cached_property
    def right(self) -> Bools:
        """(n,)"""
        return np.fromiter(map(operator.eq, self.label, self.predicted), np.bool_, len(self.id))

    def rights(self, metric: str) -> Bools:
        """(n,) is the answer right that a metric counts?"""
        return self.right

    @functools.cached_property
    def strata(self) -> Strata:
        """The examples by table."""
        return numbered(self.table)

    @functools.cached_property
    def groups(self) -> Ints | None:
        """(n,) number of the group of each example; None if no two examples share one."""
        if not any(self.group):
            return None
        names = [
            f"{table}\0" + (f"g{group}" if group else f"i{i}")
            for i, table, group in zip(self.id, self.table, self.group, strict=True)
        ]
        numbers, distinct = numbered(names)
        return numbers if len(distinct) < len(names) else None

    def columns_with(self, other: "Side") -> list[list[str]]:
        """The columns of text of both, in the order of the fields."""
        return [
            [*getattr(self, name), *getattr(other, name)]
            for name in ("id", "table", "group", "label", "predicted")
        ]


class Measure(Protocol):
    """Metrics as functions of sums over the examples of one kind of side.

    The first sum is the number of examples.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, in the order of the metrics file; () if the answers are not among few."""

    @property
    def width(self) -> int:
        """Number of sums."""

    def parts(self, side: Any) -> Floats:
        """(n, width) what each example adds to the sums."""

    def columns(self, name: str, true: Collection[str] | None = None) -> Ints:
        """Indices of the sums that a metric needs.

        true  labels that have an example, over which averages go; None: all labels
        """

    def metric(self, name: str, sums: Floats) -> Floats:
        """(...) a metric. sums: (..., columns)"""

    def classes(self, name: str, side: Any, rows: Ints, sums: Floats) -> tuple[Ints, Floats]:
        """(class of each row, how far one answer of each class moves a metric of answers)."""

    def computes(self, name: str) -> bool:
        """Does the metric follow from the answers and their numbers?"""

    def limits(self, name: str) -> Interval:
        """What the metric can be."""

    def rounding(self, name: str, side: Any, rows: Ints) -> float:
        """How far the digits of the table can move a metric."""

    def slack(self, name: str, side: Any, rows: Ints) -> float:
        """How far a metric may be from its value by the table."""


def numbered(names: Sequence[str]) -> Strata:
    """The distinct names in order, and the number of each name."""
    distinct = tuple(sorted(set(names)))
    return Strata(indices(names, distinct), distinct)


def indices(names: Sequence[str], distinct: Sequence[str]) -> Ints:
    """(n,) the place of each name among the distinct ones."""
    place = {name: i for i, name in enumerate(distinct)}
    return np.fromiter(map(place.__getitem__, names), np.int64, len(names))
