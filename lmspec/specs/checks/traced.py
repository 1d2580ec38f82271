"""traced checks: layers in order, each concept once, and of models that tell labels apart."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def traced_layers_ascend(traced: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each layer at most once, from the bottom up: so they are drawn."""
    for i, (below, above) in enumerate(itertools.pairwise(traced["layers"]), start=1):
        if above <= below:
            found = f"layer {above} comes after layer {below}, and layers ascend"
            others = ((("layers", i - 1), "the one before"),)
            yield Disagreement(("layers", i), found, "list each once, ascending", others)


def concepts_each_once(traced: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Metrics are nested by the name of their concept; a table is one class of it."""
    for i, first, name in repeated([each["name"] for each in traced["concepts"]]):
        others = ((("concepts", first, "name"), "the first"),)
        found = f"{name} is the name of two concepts"
        yield Disagreement(("concepts", i, "name"), found, "rename one", others)
    for i, concept in enumerate(traced["concepts"]):
        for j, first, name in repeated(concept.get("tables", ())):
            again = (("concepts", i, "tables", first), "the first")
            found = f"{name} is named twice"
            yield Disagreement(("concepts", i, "tables", j), found, "remove one", (again,))


def concepts_are_of_labels(traced: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What a concept is worth is measured by the labels that are right without it."""
    if traced["concepts"] and traced["answers"] != "labels":
        others = ((("answers",), "of texts that a model writes"),)
        found = "a model that writes has no labels by which to measure what a concept is worth"
        yield Disagreement(("concepts",), found, "write `concepts: []`", others)
