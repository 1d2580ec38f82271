"""folds checks: which models are trained again on folds, and on which rows they are scored."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement, Steps


def suits(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Folds are of models that tell labels apart, and that have learned from no row before.

    model  the section of the model; other places are those of it
    """
    architecture, training = model["architecture"], model["training"]
    kind, weights = architecture["kind"], architecture.get("weights")
    others: tuple[tuple[Steps, str], ...]
    if kind in WRITERS:
        found = f"a model of kind {kind} writes, and folds are of labels"
        others = ((("architecture", "kind"), "the kind"),)
        yield Disagreement(("of",), found, "name a model that tells labels apart", others)
    elif training["kind"] == "none":
        found = f"of a model of kind {kind} nothing is fitted: no row is seen"
        others = ((("training", "kind"), "how it is fitted"),)
        yield Disagreement(("of",), found, "score the model itself", others)
    elif str(model["on"]).partition(".")[0] == "augmented":
        found = "a text that is made from a row could be in another fold than the row"
        others = ((("on",), "what it is trained on"),)
        yield Disagreement(("of",), found, "name a model that is trained on splits", others)
    elif training.get("private") is not None:
        found = "each fold of a private model would spend its epsilon again"
        others = ((("training", "private"), "the guarantee"),)
        yield Disagreement(("of",), found, "name a model without `private`", others)
    elif model.get("self_training") is not None:
        found = "the pool may have rows of every fold"
        others = ((("self_training", "pool"), "the pool"),)
        yield Disagreement(("of",), found, "name a model without `self_training`", others)
    elif str(weights).startswith("pretrained."):
        found = f"{weights} may have learned from rows of every fold"
        others = ((("architecture", "weights"), "its weights"),)
        yield Disagreement(("of",), found, "name a model that starts from sources", others)
