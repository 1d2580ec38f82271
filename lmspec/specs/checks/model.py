"""model checks: how the weights of a kind of model are fitted."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

FIXED_FEATURES = ("linear", "embedding", "hybrid")
NO_HIDDEN_MATRIX = ("cnn",)
WITH_LAYERS = ("transformer",)


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


def method_suits_the_network(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Muon needs hidden matrices, and layers to decay over are a transformer's."""
    kind, training = model["architecture"]["kind"], model["training"]
    others = ((("architecture", "kind"), "the kind of model"),)
    if training.get("optimizer", {}).get("kind") == "muon" and kind in NO_HIDDEN_MATRIX:
        found = f"a {kind} has no hidden matrix for muon to train"
        yield Disagreement(("training", "optimizer", "kind"), found, "write adamw", others)
    if training.get("layerwise_decay") is not None and kind not in WITH_LAYERS:
        found = f"a model of kind {kind} has no stack of layers to decay over"
        yield Disagreement(("training", "layerwise_decay"), found, "remove it", others)
