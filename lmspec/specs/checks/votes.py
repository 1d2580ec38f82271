"""votes checks: labelling functions that can be computed, each under a name of its own."""

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated

Values = Mapping[str, Any]
# What needs to go back in the text, after an even number of backslashes
BACKTRACKING = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?:<?[=!]|>|P=|\()|\\[1-9]|[*+?}]\+)")
CLASS = re.compile(r"(?<!\\)((?:\\\\)*)\[\^?\]?(?:[^\]\\]|\\.)*\]")


def pattern_is_of_linear_time(function: Values) -> Iterator[Disagreement]:
    """A search that goes back in a text can take for ever; these are never needed for a vote."""
    pattern = function["pattern"]
    if match := BACKTRACKING.search(CLASS.sub(r"\1[]", pattern)):
        found = f"'{match[1]}' needs a search that goes back in the text, which may take for ever"
        remedy = "do without look-around, back-references and possessive repetition"
        yield Disagreement(("pattern",), found, remedy)
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        found = f"it is not a regular expression: {error}"
        yield Disagreement(("pattern",), found, "see the syntax of Rust's crate `regex`")


def functions_have_their_own_names(label: Values) -> Iterator[Disagreement]:
    """Tables list them by name."""
    for i, first, name in repeated([function["name"] for function in label["functions"]]):
        found = f"two functions are called '{name}'"
        others = ((("functions", first, "name"), "the first"),)
        yield Disagreement(("functions", i, "name"), found, "rename one", others)


def votes_can_be_enough(label: Values) -> Iterator[Disagreement]:
    """A text cannot have more votes than there are functions."""
    count = len(label["functions"])
    if count < label["min_votes"]:
        functions = f"{count} function{'' if count == 1 else 's'}"
        found = (
            f"every row would be left out: {functions} cannot give it {label['min_votes']} votes"
        )
        others = ((("functions",), "the functions"),)
        yield Disagreement(("min_votes",), found, "lower it, or write further functions", others)
