"""generation checks: each metric of the project once."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def own_metrics_differ(generation: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each has a place of its own among the metrics."""
    for i, first, name in repeated([metric["name"] for metric in generation.get("own") or ()]):
        others = ((("own", first, "name"), "the first"),)
        found = f"two metrics are called '{name}'"
        yield Disagreement(("own", i, "name"), found, "rename one", others)
