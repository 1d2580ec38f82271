"""lacking: the baseline's test set, if the candidate no longer has all of it.

A comparison on the common examples alone flatters a candidate whose test set leaves out what it
gets wrong, or labels it as it answers. So what is gone counts as wrong.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmspec.statistics import predictions
from lmspec.statistics.arrays import Floats, Interval
from lmspec.statistics.predictions import Pairs, Predictions


@dataclass(frozen=True)
class Lacking:
    """What the candidate lacks, and its answers with that counted as wrong.

    pairs       all examples of the baseline, with its labels and tables
    every       the test set of either revision, with the candidate's answers
    gone        examples of the baseline that the candidate lacks
    relabelled  examples that have another label
    moved       examples that are in another table, with their label
    """

    pairs: Pairs
    every: Predictions
    gone: int
    relabelled: int
    moved: int

    def note(self, table: str | None) -> str | None:
        """What a metric of a table (None: of all) counts beyond the candidate's examples."""
        notes = []
        if self.gone:
            size, wrong = len(self.pairs.baseline.id), "is gone, and counts as wrong"
            if self.gone > 1:
                wrong = "are gone, and count as wrong"
            notes.append(f"{self.gone:,} of the baseline's {size:,} test examples {wrong}")
        if self.relabelled:
            notes.append(f"{self.relabelled:,} relabelled count by their former labels")
        if table is not None and self.moved:
            notes.append(f"{self.moved:,} moved count in their former tables")
        return "; ".join(notes) or None


def lacking(baseline: Predictions, candidate: Predictions) -> Lacking | None:
    """None if the candidate has all examples of the baseline, with their labels and tables.

    An example that is gone counts as answered wrongly, with probability 1. One that was relabelled
    counts as wrong unless its answer is the former label.
    """
    sides = ((side.id, side.label, side.table) for side in (baseline, candidate))
    if next(sides) == next(sides):
        return None
    place = {name: j for j, name in enumerate(candidate.id)}
    at = [place.get(name) for name in baseline.id]
    kept = [
        j is not None and (candidate.label[j], candidate.table[j]) == (label, table)
        for j, label, table in zip(at, baseline.label, baseline.table, strict=True)
    ]
    if all(kept):
        return None
    counted = _counted(baseline, candidate, at)
    known = set(baseline.id)
    new = candidate.rows([j for j, name in enumerate(candidate.id) if name not in known])
    relabelled = sum(
        j is not None and candidate.label[j] != label
        for j, label in zip(at, baseline.label, strict=True)
    )
    gone = at.count(None)
    return Lacking(
        predictions.matched(baseline, counted),
        _both(counted, new),
        gone,
        relabelled,
        kept.count(False) - gone - relabelled,
    )


def _counted(
    baseline: Predictions, candidate: Predictions, at: Sequence[int | None]
) -> Predictions:
    """The candidate's answers to the baseline's examples. at: index of each there; None if gone."""
    others = {label: _another(label, baseline.label) for label in set(baseline.label)}
    answers, groups, probabilities = [], [], []
    for j, label in zip(at, baseline.label, strict=True):
        answers.append(others[label] if j is None else candidate.predicted[j])
        groups.append("" if j is None else candidate.group[j])
        probabilities.append((1.0, 0.0) if j is None else _probabilities(candidate, j, label))
    columns = (baseline.id, baseline.table, groups, baseline.label, answers)
    confidence, of_label = np.array(probabilities, np.float64).T
    return predictions.of_columns(columns, confidence, of_label)


def _another(label: str, labels: Sequence[str]) -> str:
    """The most frequent other label; if there is none, a label that no example has."""
    count = Counter(labels)
    del count[label]
    return max(sorted(count), key=count.__getitem__, default=f"not {label}")


def _probabilities(candidate: Predictions, place: int, label: str) -> Interval:
    """(probability of the answer, of a label that may differ from the candidate's label)."""
    confidence = float(candidate.confidence[place])
    if candidate.label[place] == label:
        return confidence, float(candidate.label_probability[place])
    return confidence, confidence if candidate.predicted[place] == label else 0.0


def _both(one: Predictions, other: Predictions) -> Predictions:
    texts = [
        [*getattr(one, name), *getattr(other, name)]
        for name in ("id", "table", "group", "label", "predicted")
    ]
    numbers: list[Floats] = [
        np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("confidence", "label_probability")
    ]
    return predictions.of_columns(texts, *numbers)
