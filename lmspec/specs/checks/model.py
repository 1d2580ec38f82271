"""model checks: how the weights of a kind of model are fitted."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

FIXED_FEATURES = ("linear", "embedding", "hybrid")
NO_HIDDEN_MATRIX = ("cnn",)
WITH_LAYERS = ("transformer",)
PRIVATE = ("transformer",)
WRITERS = ("causal", "nearest")
DESCENT, REGRESSION, CONTRASTIVE = "gradient_descent", "logistic_regression", "contrastive"
WITH_HEAD = (REGRESSION, CONTRASTIVE)  # kinds of training that fit a layer in the end
FITTED_BY = {
    **dict.fromkeys(FIXED_FEATURES, (REGRESSION,)),
    "embedding": (REGRESSION, CONTRASTIVE),
    "causal": (DESCENT, "none"),
    "nearest": ("none",),
    "prompted": ("none",),
}
OF_TOKENS = ("log_loss", "accuracy")  # metrics on dev that decide when to stop


def training_suits_the_kind(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """One layer on fixed features is fitted by logistic regression, a network by gradient descent.

    The layer's loss is convex: the solver finds its minimum, so neither epochs nor seeds matter.
    """
    kind, training = model["architecture"]["kind"], model["training"]["kind"]
    wanted = FITTED_BY.get(kind, (DESCENT,))
    if training not in wanted:
        found = f"a model of kind {kind} is fitted by {wanted[0]}, not by {training}"
        if wanted == ("none",):
            found = f"a model of kind {kind} has nothing that {training} could fit"
        remedy = f"write `kind: {wanted[0]}` and its fields: `lmspec explain model.training`"
        others = ((("architecture", "kind"), "the kind of model"),)
        yield Disagreement(("training", "kind"), found, remedy, others)


def compares_on_dev(model: Mapping[str, Any]) -> bool:
    """Does fitting it need a dev split: is it a network, or has a field several values to try?"""
    training, architecture = model["training"], model["architecture"]
    if training["kind"] not in WITH_HEAD:
        return True
    head = training.get("head", training)
    scales = architecture.get("embedding_scales", ())
    families = architecture.get("families", ())
    return any(len(values) > 1 for values in (head["inverse_regularization"], scales, families))


def a_head_learns_from_the_pool(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Self-training fits a model several times: it is of those that are fitted in little time."""
    kind = model["training"]["kind"]
    if model.get("self_training") is not None and kind not in WITH_HEAD:
        found = f"a model that is fitted by {kind} takes no rows of a pool"
        remedy = f"remove it, or write a training of kind {' or '.join(WITH_HEAD)}"
        others = ((("training", "kind"), "how it is fitted"),)
        yield Disagreement(("self_training",), found, remedy, others)


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


def private_rows_stay_hidden(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Nothing of a private model is learned beside the noise, and a row is one text of a batch.

    The tokenizer of a network from scratch is learned from the texts, and is not noised.
    """
    architecture = model["architecture"]
    if model["training"].get("private") is None:
        return
    others = ((("training", "private"), "the guarantee"),)
    if architecture["kind"] not in PRIVATE:
        found = f"a model of kind {architecture['kind']} cannot be trained privately"
        remedy = f"write one of kind {PRIVATE[0]}, whose tokenizer comes with its weights"
        yield Disagreement(("architecture", "kind"), found, remedy, others)
    elif architecture["long_texts"] == "windows":
        found = "a long text would count once for each window"
        remedy = "write truncate or head_tail"
        yield Disagreement(("architecture", "long_texts"), found, remedy, others)
    elif not architecture["weights"].startswith("sources."):
        found = f"{architecture['weights']} may have learned the same rows without noise"
        yield Disagreement(("architecture", "weights"), found, "start from a source", others)
    if model["on"].startswith("augmented."):
        found = "texts that are made from a row would count beside it"
        yield Disagreement(("on",), found, "train on the splits themselves", others)


def writers_have_their_own_fields(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Packing, checkpointing and a number of rows are of models that write."""
    kind, training = model["architecture"]["kind"], model["training"]
    others = ((("architecture", "kind"), "the kind of model"),)
    if model.get("rows") is not None and kind not in WRITERS:
        found = f"a model of kind {kind} is trained on all rows"
        yield Disagreement(("rows",), found, "remove it", others)
    for field in ("packing", "checkpointing"):
        if training.get(field) is not None and kind != "causal":
            found = f"a model of kind {kind} has no {field}"
            yield Disagreement(("training", field), found, "remove it", others)


def tokens_are_learned_as_they_can_be(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Tokens have no classes to weigh, and a line holds the longest example."""
    architecture, training = model["architecture"], model["training"]
    if architecture["kind"] != "causal" or training["kind"] != DESCENT:
        return
    others = ((("architecture", "kind"), "the kind of model"),)
    if training["class_weights"] != "none":
        found = "tokens are no classes to weigh"
        yield Disagreement(("training", "class_weights"), found, "write none", others)
    if training.get("balance") is not None:
        found = "tokens have no label whose groups could be balanced"
        yield Disagreement(("training", "balance"), found, "remove it", others)
    loss = training.get("loss")
    if loss is not None and loss["kind"] != "cross_entropy":
        found = f"{loss['kind']} is a loss of labels"
        yield Disagreement(("training", "loss", "kind"), found, "write cross_entropy", others)
    if (metric := training["early_stopping"]["metric"]) not in OF_TOKENS:
        found = f"{metric} is of labels, not of tokens"
        steps = ("training", "early_stopping", "metric")
        yield Disagreement(steps, found, "write log_loss or accuracy", others)
    packing = training.get("packing")
    if packing is not None and packing["max_tokens"] < architecture["max_length"]:
        found = f"a line of {packing['max_tokens']} tokens cannot hold the longest example"
        others = ((("architecture", "max_length"), "its length"),)
        yield Disagreement(("training", "packing", "max_tokens"), found, "raise it", others)
