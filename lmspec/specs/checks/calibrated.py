"""calibrated checks: something is fitted, to each dev split once."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def something_is_fitted(calibrated: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Without a method and without thresholds, the graph is the one that it is of."""
    if calibrated["method"]["kind"] == "none" and calibrated["abstain"] is None:
        found = "nothing is fitted: its method is none, and it is never unsure"
        remedy = f"name a method, say when it is unsure, or use {calibrated['of']}"
        others = ((("abstain",), "never unsure"),)
        yield Disagreement(("method", "kind"), found, remedy, others)


def each_dev_once(calibrated: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Rows that are named twice would count twice."""
    for i, first, name in repeated(calibrated["on"]):
        others = ((("on", first), "the first"),)
        yield Disagreement(("on", i), f"{name} is named twice", "remove one", others)
