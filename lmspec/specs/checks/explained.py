"""explained checks: fractions in order, each other explanation once."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def fractions_ascend(explained: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A fraction that is given twice would count twice."""
    for i, (one, other) in enumerate(itertools.pairwise(explained["fractions"]), start=1):
        if other <= one:
            found = f"{other:g} follows {one:g}, and fractions ascend"
            yield Disagreement(("fractions", i), found, "order them, each once")


def beside_each_once(explained: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Agreement is nested by the name of the other explanations."""
    for i, first, name in repeated(explained["beside"]):
        others = ((("beside", first), "the first"),)
        yield Disagreement(("beside", i), f"{name} is named twice", "remove one", others)
