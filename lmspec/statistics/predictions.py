"""predictions: the answers of a model on a test split, and the metrics that follow from them."""

import functools
import itertools
import math
import operator
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lmspec.statistics.arrays import Bools, Floats, Interval, Ints
from lmspec.statistics.sides import Side, Strata, indices, numbered

COLUMNS = (
    "dataset",
    "id",
    "table",
    "group",
    "label",
    "predicted",
    "confidence",
    "label_probability",
)
# metrics that average over labels -> which sums of each: right, predicted, true
AVERAGED = {"macro_f1": (0, 1, 2), "balanced_accuracy": (0, 2)}
COMPUTED = ("accuracy", "log_loss", "expected_calibration_error", *AVERAGED)
SMALLEST = 5e-7  # tables have six digits: a smaller probability is written as 0
ROUNDING = 1e-4  # of a metric: predictions are written with six digits
HIDDEN = 37  # log loss of the smallest probability that a float holds: -ln(1e-16)


@dataclass(frozen=True)
class Predictions(Side):
    """One test split, a row an example.

    confidence         (n,) probability of the predicted label
    label_probability  (n,) probability of the true label
    """

    kind: ClassVar[str] = "labels"
    relabelled: ClassVar[str] = "relabelled"
    confidence: Floats
    label_probability: Floats

    def rows(self, places: Sequence[int] | Ints) -> "Predictions":
        """Some of the examples, in that order."""
        columns = (self.id, self.table, self.group, self.label, self.predicted)
        return of_columns(
            [[column[i] for i in places] for column in columns],
            self.confidence[places],
            self.label_probability[places],
        )

    def differs(self, other: "Predictions", metric: str | None = None) -> Bools:
        """(n,) does a probability differ?"""
        return np.asarray(
            (self.confidence != other.confidence)
            | (self.label_probability != other.label_probability)
        )

    def counted(self, candidate: "Predictions", at: Sequence[int | None]) -> "Predictions":
        """The candidate's answers to these examples; what is gone is wrong, with probability 1.

        What was relabelled is wrong unless its answer is the label here.
        """
        others = {label: _another(label, self.label) for label in set(self.label)}
        answers, groups, probabilities = [], [], []
        for j, label in zip(at, self.label, strict=True):
            answers.append(others[label] if j is None else candidate.predicted[j])
            groups.append("" if j is None else candidate.group[j])
            probabilities.append((1.0, 0.0) if j is None else candidate.probabilities(j, label))
        columns = (self.id, self.table, groups, self.label, answers)
        confidence, of_label = np.array(probabilities, np.float64).T
        return of_columns(columns, confidence, of_label)

    def probabilities(self, place: int, label: str) -> Interval:
        """(probability of the answer, of a label that may differ from the true one)."""
        confidence = float(self.confidence[place])
        if self.label[place] == label:
            return confidence, float(self.label_probability[place])
        return confidence, confidence if self.predicted[place] == label else 0.0

    def followed_by(self, other: "Predictions") -> "Predictions":
        """These examples, then others."""
        return of_columns(
            self.columns_with(other),
            np.concatenate([self.confidence, other.confidence]),
            np.concatenate([self.label_probability, other.label_probability]),
        )


def _another(label: str, labels: Sequence[str]) -> str:
    """The most frequent other label; if there is none, a label that no example has."""
    count = Counter(labels)
    del count[label]
    return max(sorted(count), key=count.__getitem__, default=f"not {label}")


def read(table: Mapping[str, Sequence[str]] | None) -> dict[str, Predictions] | None:
    """Dataset -> predictions on its test split; None if the table does not hold predictions."""
    if table is None or any(name not in table for name in COLUMNS):
        return None
    try:
        numbers = [
            np.array(table[name], np.float64) for name in ("confidence", "label_probability")
        ]
    except ValueError:
        return None
    if not all(((column >= 0) & (column <= 1)).all() for column in numbers):
        return None
    whole = of_columns([table[name] for name in COLUMNS[1:6]], *numbers)
    places: dict[str, list[int]] = {}
    for i, dataset in enumerate(table["dataset"]):
        places.setdefault(dataset, []).append(i)
    return {dataset: whole.rows(rows) for dataset, rows in places.items()}


def of_columns(
    columns: Sequence[Sequence[str]], confidence: Floats, label_probability: Floats
) -> Predictions:
    """Predictions from text columns, in the order of the fields, and the probabilities."""
    ids, table, group, label, predicted = map(tuple, columns)
    return Predictions(ids, table, group, label, predicted, confidence, label_probability)


@dataclass(frozen=True)
class Scale:
    """Metrics as functions of sums over examples.

    labels  classes, in the order of the metrics file
    bins    of the calibration error
    """

    labels: tuple[str, ...]
    bins: int

    @property
    def width(self) -> int:
        """Number of sums: examples, right answers, log loss; three per label; one per bin."""
        return 3 + 3 * len(self.labels) + self.bins

    def parts(self, side: Predictions) -> Floats:
        """(n, width) what each example adds to the sums."""
        count = len(self.labels)
        label, predicted = (indices(column, self.labels) for column in (side.label, side.predicted))
        rows, right = np.arange(len(label)), label == predicted
        parts = np.zeros((len(label), self.width))
        parts[:, 0], parts[:, 1] = 1, right
        parts[:, 2] = -np.log(np.maximum(side.label_probability, SMALLEST))
        parts[rows, 3 + label] = right
        parts[rows, 3 + count + predicted] = 1
        parts[rows, 3 + 2 * count + label] = 1
        place = np.minimum((side.confidence * self.bins).astype(np.int64), self.bins - 1)
        parts[rows, 3 + 3 * count + place] = right - side.confidence
        return parts

    def columns(self, name: str, true: Collection[str] | None = None) -> Ints:
        """Indices of the sums that a metric needs: with many labels, one F1 needs few of them.

        true  labels that have an example, over which macro F1 and balanced accuracy average; None:
              all labels
        """
        count = len(self.labels)
        if name in AVERAGED:
            places = [i for i, label in enumerate(self.labels) if true is None or label in true]
            return np.concatenate(
                [3 + i * count + np.array(places, np.int64) for i in AVERAGED[name]]
            )
        if name.startswith("f1."):
            return 3 + self.labels.index(name.removeprefix("f1.")) + count * np.arange(3)
        if name == "expected_calibration_error":
            return np.concatenate([[0], np.arange(3 + 3 * count, self.width)])
        return np.array([0, {"accuracy": 1, "log_loss": 2}[name]])

    def metric(self, name: str, sums: Floats) -> Floats:
        """(...) a metric, as `methods/metrics.py` defines it. sums: (..., columns)"""
        if name == "macro_f1":
            return np.asarray(_f1(*np.split(sums, 3, axis=-1)).mean(-1))
        if name == "balanced_accuracy":
            return _mean_recall(*np.split(sums, 2, axis=-1))
        if name.startswith("f1."):
            return _f1(sums[..., 0], sums[..., 1], sums[..., 2])
        size, total = sums[..., 0], sums[..., 1]
        if name == "expected_calibration_error":
            total = np.abs(sums[..., 1:]).sum(-1)
        return np.asarray(np.divide(total, size, out=np.full_like(size, np.nan), where=size > 0))

    def classes(
        self, name: str, side: Predictions, rows: Ints, sums: Floats
    ) -> tuple[Ints, Floats]:
        """(class of each row, how far one answer of each class moves the metric).

        Accuracy has a single class: all answers count alike.
        """
        if name == "accuracy":
            return np.zeros(len(rows), np.int64), np.array([1 / len(rows)])
        return indices(side.label, self.labels)[rows], self._effects(name, sums)

    def _effects(self, name: str, sums: Floats) -> Floats:
        """(labels,) how far flipping one answer moves the metric, by its true label.

        sums  (width,)
        For an F1 a wrong answer is taken to be each other label as often as that was predicted.
        """
        count = len(self.labels)
        if name == "balanced_accuracy":
            true = sums[3 + 2 * count : 3 + 3 * count]
            return np.where(true > 0, 1 / np.maximum(true, 1) / max(1, int((true > 0).sum())), 0.0)
        right, predicted, true = (sums[3 + i * count : 3 + (i + 1) * count] for i in range(3))
        of = np.maximum(predicted + true, 1)
        f1 = 2 * right / of  # 0 for a label without an example
        lost = np.where(right > 0, f1 - 2 * (right - 1) / np.maximum(of - 1, 1), 0)
        gained = np.where(right < true, 2 * (right + 1) / (of + 1) - f1, 0)
        own, taken_for = np.maximum(lost, gained), f1 - 2 * right / (of + 1)
        shares = np.maximum(predicted, 1 / count)
        others = np.maximum(shares.sum() - shares, 1 / count)
        if name == "macro_f1":
            taken = (shares * taken_for).sum() - shares * taken_for
            return np.asarray((own + taken / others) / max(1, int((true > 0).sum())))
        place = self.labels.index(name.removeprefix("f1."))
        effects = shares[place] * taken_for[place] / others
        effects[place] = own[place]
        return np.asarray(effects)

    def computes(self, name: str) -> bool:
        """Does the metric follow from predictions?"""
        return name in COMPUTED or (name.startswith("f1.") and name[3:] in self.labels)

    def limits(self, name: str) -> Interval:
        """All but the log loss are shares."""
        return (-math.inf, math.inf) if name == "log_loss" else (0.0, 1.0)

    def rounding(self, name: str, side: Predictions, rows: Ints) -> float:
        """How far six digits can move a log loss, probabilities written as 0 aside; else 0."""
        if name != "log_loss":
            return 0.0
        written = side.label_probability[rows]  # (rows,)
        moved = np.where(written > 0, -np.log1p(-SMALLEST / np.maximum(written, 2 * SMALLEST)), 0.0)
        return ROUNDING + float(moved.mean())

    def slack(self, name: str, side: Predictions, rows: Ints) -> float:
        """How far a metric may be from its value by predictions with six digits."""
        if name == "log_loss":
            zero = side.label_probability[rows] == 0
            hidden = HIDDEN + math.log(SMALLEST)
            return self.rounding(name, side, rows) + float(zero.mean()) * hidden
        if name == "expected_calibration_error":  # two examples may fall in the next bin
            return ROUNDING + 2 / len(rows)
        return ROUNDING


def _f1(right: Floats, predicted: Floats, true: Floats) -> Floats:
    """(...) 0 for a label without an example in a replicate."""
    of = predicted + true
    return np.asarray(np.divide(2 * right, of, out=np.zeros_like(of), where=of > 0))


def _mean_recall(right: Floats, true: Floats) -> Floats:
    """(...) over the labels that have an example, also where a replicate has none of some."""
    recall = np.divide(right, true, out=np.zeros_like(right), where=true > 0)
    return np.asarray(recall.sum(-1) / np.maximum((true > 0).sum(-1), 1))


@dataclass(frozen=True)
class Pairs:
    """The examples that both revisions have with the same label, in the same order.

    strata      by the table that both have
    left_out    examples in one revision only
    relabelled  examples with another label; they are in no pair
    moved       pairs in another table now; they are in the pairs of no table
    gone        examples of the baseline that the candidate lacks; they are among `left_out`
    """

    baseline: Side
    candidate: Side
    strata: Strata
    left_out: int
    relabelled: int
    moved: int
    gone: int

    @functools.cached_property
    def groups(self) -> Ints | None:
        """(n,) number of the group of each pair; None if no two share one in either revision."""
        baseline, candidate = self.baseline, self.candidate
        if baseline.group == candidate.group and baseline.table == candidate.table:
            return candidate.groups
        return joined(baseline.groups, candidate.groups)


def pair(baseline: Side, candidate: Side) -> Pairs:
    """Match two sets of answers by id; there may be no pair at all."""
    if baseline.id == candidate.id and baseline.label == candidate.label:
        return matched(baseline, candidate)
    place = {name: i for i, name in enumerate(baseline.id)}
    common = [(place[name], j) for j, name in enumerate(candidate.id) if name in place]
    same = [(i, j) for i, j in common if baseline.label[i] == candidate.label[j]]
    return matched(
        baseline.rows([i for i, _ in same]),
        candidate.rows([j for _, j in same]),
        len(baseline.id) + len(candidate.id) - 2 * len(common),
        len(common) - len(same),
        len(baseline.id) - len(common),
    )


def groups_of_either(baseline: Side, candidate: Side) -> Ints | None:
    """(n,) number of the group of each of the candidate's examples, by both revisions' groups.

    The baseline's groups apply to the examples that it also has.
    """
    groups = baseline.groups
    if groups is None:
        return candidate.groups
    place = dict(zip(baseline.id, groups.tolist(), strict=True))
    beyond = int(groups.max()) + 1
    own = [place.get(name, beyond + j) for j, name in enumerate(candidate.id)]
    return joined(candidate.groups, np.unique(own, return_inverse=True)[1])


def joined(one: Ints | None, other: Ints | None) -> Ints | None:
    """(n,) groups that merge two numberings; None if neither has groups.

    Two examples are in one group if a chain of common groups leads from one to the other.
    """
    if one is None or other is None:
        return other if one is None else one
    root = list(range(int(one.max(initial=-1)) + 1))  # union-find over the groups of `one`

    def find(group: int) -> int:
        while root[group] != group:
            root[group] = group = root[root[group]]
        return group

    first: dict[int, int] = {}  # group of `other` -> a group of `one` that it meets
    for group, meets in zip(one.tolist(), other.tolist(), strict=True):
        ends = find(group), find(first.setdefault(meets, group))
        root[max(ends)] = min(ends)
    return np.unique([find(group) for group in one.tolist()], return_inverse=True)[1]


def matched(
    baseline: Side,
    candidate: Side,
    left_out: int = 0,
    relabelled: int = 0,
    gone: int = 0,
) -> Pairs:
    """Pairs of answers to the same examples in the same order."""
    size = len(candidate.id)
    stays = np.fromiter(map(operator.eq, baseline.table, candidate.table), np.bool_, size)
    numbers, tables = numbered(list(itertools.compress(candidate.table, stays)))
    strata = np.full(size, len(tables), np.int64)
    strata[stays] = numbers
    moved = int((~stays).sum())
    strata_of = Strata(strata, tables)
    return Pairs(baseline, candidate, strata_of, left_out, relabelled, moved, gone)
