"""adapter checks: what is trained beside frozen weights."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated

ALL = "all_linear"


def targets_are_listed_once(adapter: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each layer has one adapter."""
    targets = adapter["targets"]
    for i, first, name in repeated(targets):
        others = ((("targets", first), "the first"),)
        yield Disagreement(("targets", i), f"{name} is listed twice", "list each once", others)
    if ALL in targets and len(set(targets)) > 1:
        found = f"{ALL} has the others in it"
        yield Disagreement(("targets",), found, f"write [{ALL}], or leave it out")


def an_adapter_trains_no_embeddings(transformer: Mapping[str, Any]) -> Iterator[Disagreement]:
    """An adapter is trained beside weights that stay as they are, those of the embeddings too."""
    if transformer.get("adapter") is not None and not transformer["frozen_embeddings"]:
        found = "the embeddings would be trained, and an adapter leaves all weights but the head's"
        others = ((("adapter",), "the adapter"),)
        remedy = "set it to true, or remove the adapter"
        yield Disagreement(("frozen_embeddings",), found, remedy, others)
