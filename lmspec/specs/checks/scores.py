"""scores checks: each test split once."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def each_splits_once(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Metrics are nested by dataset."""
    for i, first, name in repeated(scores["on"]):
        others = ((("on", first), "the first"),)
        yield Disagreement(("on", i), f"{name} is named twice", "remove one", others)
