"""pretrained checks: what a masked language model learns and is judged by."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.checks.training import descends
from lmspec.specs.disagreement import Disagreement

WATCHED = ("accuracy", "log_loss")


def shares_are_of_a_whole(masking: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What is guessed is masked, replaced, or as it was."""
    total = masking["masked"] + masking["random"]
    if total > 1 + 1e-9:
        others = ((("masked",), "the share of masks"),)
        found = f"masked + random is {total:.6g}, and may be 1"
        yield Disagreement(("random",), found, "lower one of them", others)


def guesses_are_watched(pretrained: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Tokens are no labels: guesses have an accuracy and a log loss, and no weights of labels."""
    training = pretrained["training"]
    if not descends(pretrained):
        return  # another check says so
    metric = training["early_stopping"]["metric"]
    if metric not in WATCHED:
        found = f"{metric} is of labels, and tokens are guessed here"
        place = ("training", "early_stopping", "metric")
        yield Disagreement(place, found, f"write {' or '.join(WATCHED)}")
    if training["class_weights"] != "none":
        found = "tokens have no weights of labels"
        yield Disagreement(("training", "class_weights"), found, "write none")
    if training.get("balance") is not None:
        found = "tokens have no label whose groups could be balanced"
        yield Disagreement(("training", "balance"), found, "remove it")
    if training.get("loss") is not None:
        found = "the loss is the cross-entropy of the guessed tokens"
        yield Disagreement(("training", "loss"), found, "remove it")
