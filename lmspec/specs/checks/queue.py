"""queue checks: a classifier for what is chosen by its probabilities."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def features_are_used(queue: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Random order reads no text; the other strategies do."""
    strategy, features = queue["strategy"], queue["features"]
    others = ((("strategy",), "the strategy"),)
    if strategy == "random" and features is not None:
        yield Disagreement(("features",), "random order reads no text", "write null", others)
    elif strategy != "random" and features is None:
        found = f"the strategy {strategy} needs the probabilities of a classifier"
        yield Disagreement(("features",), found, "say what it reads of a text", others)
