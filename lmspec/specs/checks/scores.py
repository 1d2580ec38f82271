"""scores checks: each test split once, each accepted overlap once, one way to score."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.errors import some
from lmspec.specs.disagreement import Disagreement, repeated

WAYS = {  # fields, of which one says what is scored
    "calibration_bins": "labels are predicted",
    "generation": "answers are generated",
    "choices": "answers are chosen",
}


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


def one_way_to_score(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A label is predicted, an answer is generated, or one of several is chosen."""
    given = [name for name in WAYS if scores.get(name) is not None]
    if not given:
        found = f"none of {some(list(WAYS))} is given"
        remedy = "give calibration_bins for labels, such as 15, or say how answers are generated"
        yield Disagreement((), found, f"{remedy} or chosen", ())
    elif len(given) > 1:
        others = tuple(((name,), WAYS[name]) for name in given[1:])
        found = f"{WAYS[given[0]]}, and {' and '.join(WAYS[name] for name in given[1:])}"
        yield Disagreement((given[0],), found, "write a scores artifact for each", others)


def groups_are_of_labels(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A generated answer is not the label of a group's texts."""
    if scores.get("groups") is not None and scores.get("calibration_bins") is None:
        found = "only where labels are predicted, groups of texts are compared"
        yield Disagreement(("groups",), found, "remove it")
