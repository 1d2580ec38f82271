"""lacking: the baseline's test set, if the candidate no longer has all of it.

A comparison on the common examples alone flatters a candidate whose test set leaves out what it
gets wrong, or labels it as it answers. So what is gone counts as wrong.
"""

from dataclasses import dataclass

from lmspec.statistics import predictions
from lmspec.statistics.predictions import Pairs
from lmspec.statistics.sides import Side


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
    every: Side
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
            former = self.pairs.baseline
            how = "by their former labels" if former.kind == "labels" else "as wrong"
            notes.append(f"{self.relabelled:,} {former.relabelled} count {how}")
        if table is not None and self.moved:
            notes.append(f"{self.moved:,} moved count in their former tables")
        return "; ".join(notes) or None


def lacking(baseline: Side, candidate: Side) -> Lacking | None:
    """None if the candidate has all examples of the baseline, with their labels and tables.

    An example that is gone counts as answered wrongly: with probability 1, or by a text that has
    nothing in common with the reference. One that was relabelled counts as wrong unless its answer
    is the former label.
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
    counted = baseline.counted(candidate, at)
    known = set(baseline.id)
    new = candidate.rows([j for j, name in enumerate(candidate.id) if name not in known])
    relabelled = sum(
        j is not None and candidate.label[j] != label
        for j, label in zip(at, baseline.label, strict=True)
    )
    gone = at.count(None)
    return Lacking(
        predictions.matched(baseline, counted),
        counted.followed_by(new),
        gone,
        relabelled,
        kept.count(False) - gone - relabelled,
    )
