"""student checks: which layers it starts from, and how many of them stay as they are."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def layers_ascend(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each of the teacher's layers at most once, from the bottom up."""
    for i, (below, above) in enumerate(itertools.pairwise(student["layers"]), start=1):
        if above <= below:
            found = (
                f"layer {above} is named twice"
                if above == below
                else f"layer {above} comes after layer {below}"
            )
            yield Disagreement(
                ("layers", i),
                found,
                "name each once, in ascending order",
                ((("layers", i - 1), "the one before"),),
            )


def frozen_layers_exist(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """No more layers are frozen than there are."""
    frozen, layers = student["frozen_layers"], len(student["layers"])
    if frozen > layers:
        found = (
            f"{frozen} is more than the {layers} layer{'s' if layers > 1 else ''} of the student"
        )
        yield Disagreement(("frozen_layers",), found, "lower it", ((("layers",), "its layers"),))


def something_is_learned(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A loss whose every weight is 0 teaches nothing."""
    weights = ("soft_weight", "hidden_weight", "hard_weight")
    if not any(student["distillation"][weight] for weight in weights):
        others = tuple((("distillation", weight), "0") for weight in weights[1:])
        found = "all three weights are 0: nothing would be learned"
        yield Disagreement(("distillation", weights[0]), found, "raise one of them", others)
