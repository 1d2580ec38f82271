"""sources checks: what is taken of an npm package."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def files_have_names_of_their_own(source: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The files of a package are put side by side, each under its own name."""
    names = [path.rpartition("/")[2] for path in source["members"]]
    for i, first, name in repeated(names):
        others = ((("members", first), "the first"),)
        yield Disagreement(("members", i), f"there are two files called {name}", "take one", others)
