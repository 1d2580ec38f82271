"""student checks: which layers it starts from, and how many of them stay as they are."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def layers_ascend(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each of the teacher's layers at most once, from the bottom up."""
    for i, (below, above) in enumerate(itertools.pairwise(student["layers"]), start=1):
        if above <= below:
            found = f"layer {above} comes after layer {below}: name each once, in ascending order"
            yield Disagreement(("layers", i), found, "", ((("layers", i - 1), "the one before"),))


def frozen_layers_exist(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """No more layers are frozen than there are."""
    frozen, layers = student["frozen_layers"], len(student["layers"])
    if frozen > layers:
        found = f"{frozen} is more than the {layers} layers of the student"
        yield Disagreement(("frozen_layers",), found, "lower it", ((("layers",), "its layers"),))


def something_is_learned(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A loss whose every weight is 0 teaches nothing."""
    weights = ("soft_weight", "hidden_weight", "hard_weight")
    if not any(student["distillation"][weight] for weight in weights):
        yield Disagreement(("distillation",), "all three weights are 0: nothing would be learned", "raise one of them")
