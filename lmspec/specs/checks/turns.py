"""turns checks: paths whose stars agree, patterns that compile, roles that differ."""

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated

Values = Mapping[str, Any]
STAR = "*"


def stars_are_shared(nested: Values) -> Iterator[Disagreement]:
    """A cell belongs to its row: on its path, each star is one of the row's."""
    rows = nested["rows"]
    stars = rows.count(STAR)
    others = ((("rows",), "the rows"),)
    for i, column in enumerate(nested["columns"]):
        steps = ("columns", i)
        if column["kind"] == "key":
            if column["star"] > stars:
                found = f"rows has {stars or 'no'} `*`, and this names number {column['star']}"
                yield Disagreement((*steps, "star"), found, "count them from 1", others)
        elif [*column["at"]][: (used := prefix(column["at"]))] != [*rows][:used]:
            found = "its `*` are not those of `rows`: a path begins like `rows`, up to its last `*`"
            shown = ", ".join(repr(step) for step in rows)
            yield Disagreement((*steps, "at"), found, f"begin it with {shown}", others)


def columns_differ(nested: Values) -> Iterator[Disagreement]:
    """Each column has a name of its own."""
    for i, first, name in repeated([column["name"] for column in nested["columns"]]):
        others = ((("columns", first, "name"), "the first"),)
        found = f"two columns are called '{name}'"
        yield Disagreement(("columns", i, "name"), found, "rename one", others)


def prefix(path: tuple[str, ...] | list[str]) -> int:
    """Length of a path up to its last star, that one included."""
    return max((i + 1 for i, step in enumerate(path) if step == STAR), default=0)


def replacement_is_possible(replacement: Values) -> Iterator[Disagreement]:
    """The pattern compiles, and the text in its place names groups that it has."""
    pattern, by = replacement["pattern"], replacement["by"]
    field, remedy = "pattern", "see Python's `re`"
    try:
        with warnings.catch_warnings(action="ignore"):  # about syntax of later versions of Python
            compiled = re.compile(pattern)
            field, remedy = "by", r"\1 is the first group of the pattern; \\ is a backslash"
            re.compile(f"(?:{pattern})|").sub(by, "")
    except (re.error, OverflowError, RecursionError, IndexError) as error:
        yield Disagreement((field,), f"it is not a regular expression: {error}", remedy)
        return
    if compiled.fullmatch(""):
        found = "it matches nothing, too, so it would match everywhere"
        yield Disagreement(("pattern",), found, "use + for *")


def roles_differ(roles: Values) -> Iterator[Disagreement]:
    """Each word stands for one role."""
    given = {name: word for name, word in roles.items() if word is not None}
    for i, first, word in repeated([*given.values()]):
        one, other = [*given][first], [*given][i]
        found = f"'{word}' stands for the {one} as well"
        others = (((one,), f"the {one}"),)
        yield Disagreement((other,), found, "name another", others)
