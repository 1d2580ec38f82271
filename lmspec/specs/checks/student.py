"""student checks: which layers it starts from, and how many of them are frozen."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

WITH_LAYERS = ("transformer", "causal")  # kinds of teachers, some of whose layers are copied


def layers_ascend(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each of the teacher's layers at most once, from the bottom up."""
    for i, (below, above) in enumerate(itertools.pairwise(student["layers"]), start=1):
        if above <= below:
            problem = "is named twice" if above == below else f"comes after layer {below}"
            remedy, others = "list each once, ascending", ((("layers", i - 1), "the one before"),)
            yield Disagreement(("layers", i), f"layer {above} {problem}", remedy, others)


def frozen_layers_exist(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """No more layers are frozen than the student has."""
    frozen, layers = student["frozen_layers"], len(student["layers"])
    if frozen > layers:
        found = f"{frozen} exceeds the {layers} layer{'s' if layers > 1 else ''} of the student"
        yield Disagreement(("frozen_layers",), found, "lower it", ((("layers",), "its layers"),))


def something_is_learned(student: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A loss whose weights are all 0 teaches nothing."""
    first, *rest = ("soft_weight", "hidden_weight", "hard_weight")
    if not any(student["distillation"][weight] for weight in (first, *rest)):
        others = tuple((("distillation", weight), "0") for weight in rest)
        found = "all three weights are 0: nothing would be learned"
        yield Disagreement(("distillation", first), found, "raise one of them", others)
