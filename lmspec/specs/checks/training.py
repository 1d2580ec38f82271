"""training checks: settings that depend on each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def nesterov_has_momentum(sgd: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Nesterov's step looks ahead along the momentum."""
    if sgd["nesterov"] and sgd["momentum"] == 0:
        found, others = "nesterov needs a momentum above 0", ((("momentum",), "the momentum"),)
        yield Disagreement(("nesterov",), found, "raise the momentum", others)


def schedule_fits_the_steps(training: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Warm-up ends before the decay begins, and a constant rate has no decay."""
    decay = training.get("decay_fraction")
    if decay is None:
        return
    if training["decay"] == "constant":
        found, others = "a constant learning rate does not decay", ((("decay",), "constant"),)
        yield Disagreement(
            ("decay_fraction",), found, "remove it, or write `decay: linear`", others
        )
    elif decay + training["warmup_fraction"] > 1:
        found = "warm-up and decay together are longer than the training"
        others = ((("warmup_fraction",), "the warm-up"),)
        yield Disagreement(("decay_fraction",), found, "lower one of them", others)


def batch_is_divided(training: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A micro-batch is a part of a batch."""
    micro, whole = training.get("micro_batch_size"), training["batch_size"]
    if micro is not None and micro > whole:
        found = f"a part of {micro} examples is larger than the batch of {whole}"
        others = ((("batch_size",), "the batch"),)
        yield Disagreement(("micro_batch_size",), found, "lower it, or remove it", others)


def a_private_row_counts_once(training: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Epsilon is of one training in which no row decides how another one counts."""
    if training.get("private") is None:
        return
    others = ((("private",), "the guarantee"),)
    if training["seeds"] > 1:
        found = "each further training on the same rows spends epsilon again, and only one counts"
        yield Disagreement(("seeds",), found, "write 1", others)
    if training["class_weights"] != "none":
        found = "weights of classes follow from the labels of all rows, which no noise hides"
        yield Disagreement(("class_weights",), found, "write none", others)
    if training.get("balance") is not None:
        found = "how much a row counts follows from all rows, which no noise hides"
        yield Disagreement(("balance",), found, "remove it", others)


def balance_has_the_labels(training: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A balance is of labels within groups, so labels are not weighed again."""
    if training.get("balance") is not None and training["class_weights"] != "none":
        found = "the balance of groups weighs the labels of each group already"
        others = ((("balance",), "the balance"),)
        yield Disagreement(("class_weights",), found, "write none", others)


def copies_of_weights(training: Mapping[str, Any]) -> int:
    """Numbers that gradient descent keeps beside each trained weight: the gradient, the weight of
    the best evaluation, states of the optimizer, and both again for averaged weights."""
    optimizer = training["optimizer"]
    states = {"adamw": 2, "muon": 1, "adafactor": 0, "sgd": int(optimizer.get("momentum", 0) > 0)}
    return 2 + states[optimizer["kind"]] + 2 * (training.get("averaging") is not None)


def descends(section: Mapping[str, Any]) -> bool:
    """Is an artifact, by its section, a network that is trained by gradient descent?"""
    training = section.get("training")
    return isinstance(training, Mapping) and training.get("kind") == "gradient_descent"


def nothing_else_is_private(artifact: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Only a model may be private: what others start from may know their rows without noise."""
    if artifact["training"].get("private") is not None:
        found = "only a model is private: what others start from may know their rows without noise"
        remedy = "remove it, or train a `model` of kind transformer"
        yield Disagreement(("training", "private"), found, remedy)


def weights_are_trained_further(artifact: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A student or an update starts from given weights: gradient descent trains them further."""
    if not descends(artifact):
        found = (
            f"{artifact['training']['kind']} fits a new layer, and trains no given weights further"
        )
        remedy = "write `kind: gradient_descent` and its fields"
        yield Disagreement(("training", "kind"), found, remedy)
