"""groups checks: each way to group has a name of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def names_differ(groups: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Metrics are nested by way and group."""
    for way, each in enumerate(groups["by"]):
        for i, first, name in repeated([terms["name"] for terms in each.get("terms") or ()]):
            at = ("by", way, "terms")
            place = (*at, first, "name"), "the first"
            yield Disagreement((*at, i, "name"), f"{name} is named twice", "rename one", (place,))
    for i, first, name in repeated([each["name"] for each in groups["by"]]):
        others = ((("by", first, "name"), "the first"),)
        yield Disagreement(("by", i, "name"), f"{name} is named twice", "rename one", others)
