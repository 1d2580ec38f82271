"""overlap: test examples that a model has seen in training, early stopping or calibration.

The field also calls it contamination or leakage. Source: Elangovan et al. 2021, arXiv:2102.01818.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lmspec.specs.scores import AcceptedOverlap

Place = tuple[str, str]  # (data, part), such as (`splits.tweets`, `train`)


@dataclass(frozen=True)
class Overlap:
    """Test examples of one dataset that are in one part of the data that the model has seen.

    examples  (k,) their positions in the test split, ascending
    size      of the test split
    """

    dataset: str
    size: int
    data: str
    part: str
    examples: tuple[int, ...]


def of_dataset(
    dataset: str, test: Sequence[str], seen: Mapping[Place, Collection[str]]
) -> list[Overlap]:
    """One for each part that has a test example.

    test  (n,) ids of the test examples, equal for equal texts
    seen  ids in each part
    """
    found = []
    for (data, part), ids in seen.items():
        common = set(test).intersection(ids)
        if common:
            examples = tuple(i for i, name in enumerate(test) if name in common)
            found.append(Overlap(dataset, len(test), data, part, examples))
    return found


def count(overlaps: Iterable[Overlap]) -> int:
    """Test examples that are in any part."""
    return len({(overlap.dataset, i) for overlap in overlaps for i in overlap.examples})


def refused(overlaps: Sequence[Overlap], accepted: Sequence[AcceptedOverlap]) -> list[Overlap]:
    """Those that the spec does not accept: with other data, or with more test examples."""
    bounds = {str(overlap.of): overlap.at_most for overlap in accepted}
    with_same = {
        data: count(overlap for overlap in overlaps if overlap.data == data)
        for data in {overlap.data for overlap in overlaps}
    }
    return [
        overlap for overlap in overlaps if with_same[overlap.data] > bounds.get(overlap.data, 0)
    ]
