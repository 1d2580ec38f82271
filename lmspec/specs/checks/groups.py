"""groups checks: each way to group has a name of its own, and groups that are known."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated

OWN = ("table", "label")  # columns that every corpus has, and whose values are known


def values_are_of_kept_columns(way: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The groups are known before there are data: of a table and a label by the corpus."""
    values, column = way.get("values"), way["column"]
    others = ((("column",), "the column"),)
    if column in OWN and values is not None:
        found = f"each {column} is a group, so none is chosen"
        yield Disagreement(("values",), found, "remove it", others)
    elif column not in OWN and values is None:
        found = f"the values of {column!r} are known only to the data"
        yield Disagreement(("column",), found, "list those that are groups in `values`")
    for i, first, name in repeated(values or ()):
        found = f"{name!r} is listed twice"
        yield Disagreement(("values", i), found, "remove one", ((("values", first), "the first"),))


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
