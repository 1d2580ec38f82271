"""scores checks: each test split once."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def each_splits_once(scores: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Metrics are nested by splits."""
    first: dict[str, int] = {}
    for i, name in enumerate(scores["on"]):
        if first.setdefault(name, i) != i:
            yield Disagreement(
                ("on", i),
                f"{name} is named twice",
                "remove one",
                ((("on", first[name]), "the first"),),
            )
