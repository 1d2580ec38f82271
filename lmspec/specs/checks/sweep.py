"""sweep checks: ranges that hold numbers, and rungs in their order."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def low_is_below_high(span: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A range holds more than one number."""
    low, high = span["low"], span["high"]
    if low >= high:
        found = f"low is {low}, and high is {high}: there is nothing between"
        yield Disagreement(("low",), found, "exchange or change them", ((("high",), "high"),))


def logarithms_exist(span: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Zero and negative numbers have no order of magnitude."""
    if span["log"] and span["low"] <= 0:
        found = f"low is {span['low']}, which has no logarithm"
        yield Disagreement(("low",), found, "raise it above 0, or write `log: false`")


def something_is_searched(sweep: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Without a field there is one trial."""
    if not sweep["over"]:
        found = "there is nothing to search"
        yield Disagreement(("over",), found, "name a field, with its values or a range")


def rungs_ascend(sweep: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each rung is later than the one before."""
    for i, (before, after) in enumerate(itertools.pairwise(sweep["rungs"]), start=1):
        if after <= before:
            found = f"rung {after:g} follows rung {before:g}"
            others = ((("rungs", i - 1), "the one before"),)
            yield Disagreement(("rungs", i), found, "list them in ascending order", others)
