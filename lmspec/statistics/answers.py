"""answers: texts that a model wrote for a test split, by what they share with their references."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lmspec.statistics.arrays import Bools, Floats, Interval, Ints
from lmspec.statistics.sides import Side

EXACT_MATCH = "exact_match"
PASS_RATE = "pass_rate"
RIGHT = (EXACT_MATCH, "accuracy", PASS_RATE)  # metrics that follow from `right`
PER_BYTE = "accuracy_per_byte"
ROUNDING = 1e-4  # of a metric: losses are written with six digits


class Part(NamedTuple):
    """What answers add to the sums of one metric.

    numbers  (n, k) what each adds
    worst    (n, k) what it would add if it were wrong
    """

    numbers: Floats
    worst: Floats


@dataclass(frozen=True)
class Answers(Side):
    """One test split, a row an example.

    label, predicted  hashes of reference and text
    parts             metric -> what the answers add to its sums, exact match aside; a model that
                      has no probabilities has no log loss
    """

    kind: ClassVar[str] = "texts"
    relabelled: ClassVar[str] = "with another reference"
    parts: Mapping[str, Part]

    def rows(self, places: Sequence[int] | Ints) -> "Answers":
        """Some of the examples, in that order."""
        columns = (self.id, self.table, self.group, self.label, self.predicted)
        parts = {
            name: Part(part.numbers[places], part.worst[places])
            for name, part in self.parts.items()
        }
        return self._made([[column[i] for i in places] for column in columns], parts)

    def differs(self, other: "Answers", metric: str | None = None) -> Bools:
        """(n,) does a number of a metric, or any, differ? What one of them lacks does not count."""
        found = np.zeros(len(self.id), np.bool_)
        for name in (self.parts.keys() & other.parts.keys()) if metric is None else (metric,):
            found |= (self.parts[name].numbers != other.parts[name].numbers).any(1)
        return found

    def counted(self, candidate: "Answers", at: Sequence[int | None]) -> "Answers":
        """The candidate's answers to these examples; what is gone is wrong.

        What was relabelled is wrong, too, since nothing says what it has in common with its former
        reference; unless it matches that exactly, which counts for the exact match alone.
        """
        answers = ["" if j is None else candidate.predicted[j] for j in at]
        groups = ["" if j is None else candidate.group[j] for j in at]
        kept = {
            i: j
            for i, j in enumerate(at)
            if j is not None and self.label[i] == candidate.label[j]  # the same reference
        }
        parts = {}
        for name, part in self.parts.items():
            if name in candidate.parts:
                numbers = part.worst.copy()
                numbers[[*kept]] = candidate.parts[name].numbers[[*kept.values()]]
                parts[name] = Part(numbers, part.worst)
        return self._made((self.id, self.table, groups, self.label, answers), parts)

    def followed_by(self, other: "Answers") -> "Answers":
        """These examples, then others."""
        parts = {}
        for name, part in self.parts.items():
            if name in other.parts:
                after = other.parts[name]
                numbers = np.concatenate([part.numbers, after.numbers])
                parts[name] = Part(numbers, np.concatenate([part.worst, after.worst]))
        return self._made(self.columns_with(other), parts)

    def _made(self, columns: Sequence[Sequence[str]], parts: Mapping[str, Part]) -> "Answers":
        return of_columns(columns, parts, type(self))


@dataclass(frozen=True)
class Choices(Answers):
    """Answers that are chosen among several, by their likelihood and by that for each byte."""

    kind: ClassVar[str] = "choices"
    relabelled: ClassVar[str] = "with another right choice"

    def rights(self, metric: str) -> Bools:
        """(n,) is the choice right by which the metric counts?"""
        if metric != PER_BYTE:
            return self.right
        return np.asarray(self.parts[PER_BYTE].numbers[:, 1] > 0)


def of_columns(
    columns: Sequence[Sequence[str]], parts: Mapping[str, Part], kind: type[Answers] = Answers
) -> Answers:
    """Answers from text columns, in the order of the fields, and what they add."""
    ids, table, group, label, predicted = map(tuple, columns)
    return kind(ids, table, group, label, predicted, parts)


class Formula(NamedTuple):
    """A metric of a corpus of answers.

    width      k, number of its sums
    of         (..., k) sums -> (...) the metric
    low, high  what it can be
    """

    width: int
    of: Callable[[Floats], Floats]
    low: float
    high: float


@dataclass(frozen=True)
class TextScale:
    """Metrics as functions of sums over answers. formulas: by their names, in some order."""

    formulas: Mapping[str, Formula]

    @property
    def labels(self) -> tuple[str, ...]:
        """None: an answer is any text."""
        return ()

    @property
    def width(self) -> int:
        """Number of sums: examples, then those of each metric."""
        return 1 + sum(formula.width for formula in self.formulas.values())

    def parts(self, side: Answers) -> Floats:
        """(n, width) what each answer adds to the sums."""
        one = np.ones(len(side.id))
        right = np.stack([one, side.right], axis=1)
        numbers = (right if name in RIGHT else side.parts[name].numbers for name in self.formulas)
        return np.hstack([one[:, None], *numbers])

    def columns(self, name: str, true: Collection[str] | None = None) -> Ints:
        """Indices of the sums that a metric needs."""
        start = 1
        for other, formula in self.formulas.items():
            if other == name:
                return np.arange(start, start + formula.width)
            start += formula.width
        raise KeyError(name)

    def metric(self, name: str, sums: Floats) -> Floats:
        """(...) a metric. sums: (..., columns)"""
        return self.formulas[name].of(sums)

    def classes(self, name: str, side: Answers, rows: Ints, sums: Floats) -> tuple[Ints, Floats]:
        """All answers are of one class, and count alike in an exact match."""
        return np.zeros(len(rows), np.int64), np.array([1 / len(rows)])

    def computes(self, name: str) -> bool:
        """Does the metric follow from the answers?"""
        return name in self.formulas

    def limits(self, name: str) -> Interval:
        """What the metric can be."""
        return self.formulas[name].low, self.formulas[name].high

    def rounding(self, name: str, side: Answers, rows: Ints) -> float:
        """How far the digits of the table can move a metric: what is stated follows from them."""
        return ROUNDING

    def slack(self, name: str, side: Answers, rows: Ints) -> float:
        """The same: nothing is hidden."""
        return ROUNDING

    def common(self, other: "TextScale") -> "TextScale":
        """Of the metrics that both have."""
        both = {name: each for name, each in self.formulas.items() if name in other.formulas}
        return TextScale(both)
