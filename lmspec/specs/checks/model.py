"""model checks: how the weights of a kind of model are fitted."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

FIXED_FEATURES = ("linear", "embedding", "hybrid")


def training_suits_the_kind(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """One layer on fixed features is fitted by logistic regression, a network by gradient descent.

    The layer's loss is convex: the solver finds its minimum, so neither epochs nor seeds matter.
    """
    kind, training = model["architecture"]["kind"], model["training"]["kind"]
    wanted = "logistic_regression" if kind in FIXED_FEATURES else "gradient_descent"
    if training != wanted:
        found = f"a model of kind {kind} is fitted by {wanted}, not by {training}"
        remedy = f"write `kind: {wanted}` and its fields: `lmspec explain model.training`"
        others = ((("architecture", "kind"), "the kind of model"),)
        yield Disagreement(("training", "kind"), found, remedy, others)
