"""scores checks: each test split once, each accepted overlap once, labels or answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def each_splits_once(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Metrics are nested by dataset."""
    for i, first, name in repeated(scores["on"]):
        others = ((("on", first), "the first"),)
        yield Disagreement(("on", i), f"{name} is named twice", "remove one", others)


def each_overlap_once(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """One number says how large an overlap may be."""
    accepted = scores.get("accepted_overlap") or ()
    for i, first, name in repeated([overlap["of"] for overlap in accepted]):
        others = ((("accepted_overlap", first, "of"), "the first"),)
        found = f"the overlap with {name} is accepted twice"
        yield Disagreement(("accepted_overlap", i, "of"), found, "remove one", others)


def labels_or_answers(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A label is predicted, or an answer is generated."""
    bins, generation = scores.get("calibration_bins"), scores.get("generation")
    if bins is None and generation is None:
        found = "neither calibration_bins nor generation is given"
        remedy = "give calibration_bins for labels, such as 15, or say how answers are generated"
        yield Disagreement((), found, remedy)
    elif bins is not None and generation is not None:
        others = ((("generation",), "how answers are generated"),)
        found = "answers are no labels, whose probabilities are calibrated"
        yield Disagreement(("calibration_bins",), found, "remove it", others)
