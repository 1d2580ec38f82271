"""corpus checks: bands, bounds, columns and labels that fit each other."""

import itertools
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.errors import some
from lmspec.specs.disagreement import Disagreement

Values = Mapping[str, Any]


def bands_are_apart(rule: Values) -> Iterator[Disagreement]:
    """No score falls into two bands, and each band can hold one."""
    spans = []
    for i, band in enumerate(rule["bands"]):
        low = -math.inf if band["at_least"] is None else band["at_least"]
        high = math.inf if band["at_most"] is None else band["at_most"]
        if low > high:
            found = f"the band of '{band['label']}' is empty: at_least is {low:g}, and at_most is {high:g}"
            others = ((("bands", i, "at_most"), "its upper bound"),)
            yield Disagreement(("bands", i, "at_least"), found, "exchange the two", others)
        else:
            spans.append((low, high, i, str(band["label"])))
    for (_, high, i, one), (low, _, j, two) in itertools.pairwise(sorted(spans)):
        if low <= high:
            span = f"{low:g} belongs" if low == high else f"{low:g} to {high:g} belong"
            found = f"the bands of '{two}' and '{one}' overlap: {span} to both"
            remedy = "both bounds of a band belong to it: leave a gap"
            yield Disagreement(
                ("bands", j), found, remedy, ((("bands", i), f"the band of '{one}'"),)
            )


def pattern_has_a_group(group: Values) -> Iterator[Disagreement]:
    """The part to take stands in parentheses."""
    if group["pattern"] is None:
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # of what a later Python may read otherwise
            groups = re.compile(group["pattern"]).groups
    except (re.error, OverflowError, RecursionError) as error:
        yield Disagreement(
            ("pattern",), f"it is not a regular expression: {error}", "see Python's `re`"
        )
        return
    if groups == 0:
        yield Disagreement(
            ("pattern",), "the pattern has no group", "put the part to take into parentheses"
        )


def bounds_are_in_order(clean: Values) -> Iterator[Disagreement]:
    """Some length passes."""
    low, high = clean["min_chars"], clean["max_chars"]
    if low > high:
        found = f"every text would be rejected: min_chars is {low}, and max_chars is {high}"
        yield Disagreement(
            ("min_chars",), found, "exchange the two", ((("max_chars",), "the upper bound"),)
        )


def few_pairs_are_missed(near: Values) -> Iterator[Disagreement]:
    """MinHash with that many permutations finds nearly all pairs at the threshold."""
    if rows_per_band(near["threshold"], near["permutations"]) == 0:
        found = f"with {near['permutations']} permutations too many pairs at {near['threshold']:g} would be missed"
        yield Disagreement(
            ("permutations",), found, "use more permutations", ((("threshold",), "the similarity"),)
        )


def rows_per_band(threshold: float, permutations: int) -> int:
    """Permutations per band of the MinHash index: the most that miss a pair at the threshold less than once in 10,000.

    0 if none do.
    """
    fit = [
        r
        for r in range(1, permutations // 2 + 1)
        if (1 - threshold**r) ** (permutations // r) < 1e-4
    ]
    return max(fit, default=0)


def columns_are_named(table: Values) -> Iterator[Disagreement]:
    """Where the spec names the columns of a file, the text, the label and the group stand in one of them."""
    columns = table["format"].get("columns")
    if columns is None:
        return
    yield from (
        _twice(("format", "columns", i), f"column '{name}'", j) for i, j, name in _repeated(columns)
    )
    used: list[tuple[tuple[str, ...], str]] = [
        (("text",), table["text"]),
        (("label", "column"), table["label"]["column"]),
    ]
    used += [(("group", "column"), table["group"]["column"])] if table["group"] else []
    for steps, name in used:
        if name not in columns:
            found = f"the file has no column '{name}'; its columns are {some(columns)}"
            others = ((("format", "columns"), "the columns"),)
            yield Disagreement(steps, found, "name one of them, or correct the columns", others)


def labels_are_listed(corpus: Values) -> Iterator[Disagreement]:
    """Each label once, and no table gives another."""
    labels = corpus["labels"]
    yield from (_twice(("labels", i), f"label '{name}'", j) for i, j, name in _repeated(labels))
    for i, table in enumerate(corpus["tables"]):
        for steps, label in _given(table["label"]):
            if label not in labels:
                found = f"label '{label}' is not among the corpus's labels, {some(labels)}"
                others = ((("labels",), "the corpus's labels"),)
                yield Disagreement(
                    ("tables", i, "label", *steps),
                    found,
                    "give one of them, or list it there",
                    others,
                )


def labels_are_given(corpus: Values) -> Iterator[Disagreement]:
    """Where every table derives its labels from a score, each label has a band: one that none gives cannot be learned."""
    rules = [table["label"] for table in corpus["tables"]]
    given = {label for rule in rules for _, label in _given(rule)}
    if all(rule["kind"] == "threshold" for rule in rules) and given <= set(corpus["labels"]):
        for i, label in enumerate(corpus["labels"]):
            if label not in given:
                others = ((("tables", 0, "label", "bands"), "the bands"),)
                yield Disagreement(
                    ("labels", i),
                    f"no band gives label '{label}'",
                    "remove it, or give it a band",
                    others,
                )


def _given(rule: Values) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if rule["kind"] == "threshold":
        yield from ((("bands", i, "label"), band["label"]) for i, band in enumerate(rule["bands"]))
    else:
        yield from ((("rename", value), label) for value, label in (rule["rename"] or {}).items())


def tables_have_their_own_names(corpus: Values) -> Iterator[Disagreement]:
    """Metrics are broken down by them."""
    names = [table["name"] for table in corpus["tables"]]
    for i, j, name in _repeated(names):
        other = (("tables", j, "name"), "the first")
        yield Disagreement(
            ("tables", i, "name"), f"two tables are called '{name}'", "rename one", (other,)
        )


def _repeated(names: list[str] | tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    """(position, earlier position, name) of each name that came before."""
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            yield i, first[name], name


def _twice(steps: tuple[str | int, ...], what: str, first: int) -> Disagreement:
    return Disagreement(
        steps, f"{what} is listed twice", "remove one", (((*steps[:-1], first), "the first"),)
    )
