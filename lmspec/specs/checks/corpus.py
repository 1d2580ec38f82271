"""corpus checks: bands, bounds, columns and labels that fit each other."""

import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from lmspec.errors import some
from lmspec.specs.checks import ratings
from lmspec.specs.disagreement import Disagreement, Steps, repeated

Values = Mapping[str, Any]


def pattern_has_a_group(group: Values) -> Iterator[Disagreement]:
    """The part to extract is in parentheses."""
    if group["pattern"] is None:
        return
    found, remedy = "the pattern has no group", "put the part to extract in parentheses"
    try:
        with warnings.catch_warnings(action="ignore"):  # about syntax of later versions of Python
            groups = re.compile(group["pattern"]).groups
    except (re.error, OverflowError, RecursionError) as error:
        groups, found, remedy = 0, f"it is not a regular expression: {error}", "see Python's `re`"
    if groups == 0:
        yield Disagreement(("pattern",), found, remedy)


def bounds_are_in_order(clean: Values) -> Iterator[Disagreement]:
    """Some length is accepted."""
    low, high = clean["min_chars"], clean["max_chars"]
    if low > high:
        found = f"every text would be rejected: min_chars is {low}, and max_chars is {high}"
        others = ((("max_chars",), "the upper bound"),)
        yield Disagreement(("min_chars",), found, "swap them", others)


def few_pairs_are_missed(near: Values) -> Iterator[Disagreement]:
    """MinHash with that many permutations finds nearly all pairs at the threshold."""
    permutations, threshold = near["permutations"], near["threshold"]
    if rows_per_band(threshold, permutations) == 0:
        found = f"{permutations} permutations would miss too many pairs at {threshold:g}"
        others = ((("threshold",), "the similarity"),)
        yield Disagreement(("permutations",), found, "use more permutations", others)


def rows_per_band(threshold: float, permutations: int) -> int:
    """Permutations per band of the MinHash index; 0 if no number is good enough.

    The most that miss a pair at the threshold with a probability below 1e-4.
    """
    fit = [
        r
        for r in range(1, permutations // 2 + 1)
        if (1 - threshold**r) ** (permutations // r) < 1e-4
    ]
    return max(fit, default=0)


NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def as_read(value: str, values: str) -> str:
    """A label as the field `values` of a table has it read: `text` or `number`."""
    value = value.strip()
    if values == "text" or not NUMBER.fullmatch(value):
        return value
    number = Decimal(value)
    # float() would make long identifiers equal
    return str(int(number)) if number == number.to_integral_value() else repr(float(number))


def values_are_as_read(label: Values) -> Iterator[Disagreement]:
    """What is renamed is a value as it is read; another would never be found."""
    for value in label["rename"] or {}:
        if (read := as_read(value, label["values"])) != value:
            found = f"no value is '{value}': it is read as '{read}'"
            yield Disagreement(("rename", value), found, f"write '{read}'")


def columns_are_named(table: Values) -> Iterator[Disagreement]:
    """If the spec names the columns of a file, text, label, turns and group are among them."""
    form = table["format"]
    plain, columns = form["kind"] == "text", form.get("columns")
    if form["kind"] == "json":
        columns = [column["name"] for column in columns]
    elif plain:
        columns = ["text"]
    if columns is None:
        return
    if form["kind"] != "json":  # columns_differ reports those
        yield from _listed_once(("format", "columns"), "column", columns)
    for steps, name in read_columns(table):
        if name not in columns:
            found = f"the file has no column '{name}'; its columns are {some(columns)}"
            others = ((("format", "kind" if plain else "columns"), "the columns"),)
            yield Disagreement(steps, found, "name one of them, or correct the columns", others)


def read_columns(table: Values) -> list[tuple[Steps, str]]:
    """(field, column) of each column that a table is read for."""
    used: list[tuple[Steps, str]] = [(("text",), table["text"])] if table["text"] else []
    turns = table.get("turns")
    if turns and turns["kind"] == "messages":
        used.append((("turns", "column"), turns["column"]))
    elif turns:
        used += [(("turns", "prompt", i), name) for i, name in enumerate(turns["prompt"])]
        listed = turns.get("choices") or ()
        used += [(("turns", "choices", i), name) for i, name in enumerate(listed)]
        answer = "right" if listed else "answer"
        used.append((("turns", answer), turns[answer]))
        used += [(("turns", "system"), turns["system"])] if turns["system"] else []
    used += [(("label", *steps), name) for steps, name in _label_columns(table["label"])]
    used += [(("group", "column"), table["group"]["column"])] if table["group"] else []
    used += [(("keep", i), name) for i, name in enumerate(table.get("keep") or ())]
    return used


OWN_COLUMNS = ("id", "text", "label", "group", "table", "turns", "choices")  # of documents


def kept_columns_have_names_of_their_own(table: Values) -> Iterator[Disagreement]:
    """Documents have columns of their own, under whose names nothing else is kept."""
    kept = table.get("keep") or ()
    yield from _listed_once(("keep",), "column", kept)
    for i, name in enumerate(kept):
        if name in OWN_COLUMNS:
            found = f"documents have a column '{name}' of their own"
            yield Disagreement(("keep", i), found, "rename it in the file")


def _label_columns(rule: Values | None) -> list[tuple[Steps, str]]:
    """(field, column) of those columns of the table that its label is read from."""
    if rule is None:
        return []
    if rule["kind"] == "votes":
        return [
            (("functions", i, "column"), function["column"])
            for i, function in enumerate(rule["functions"])
            if function["kind"] == "column"
        ]
    if rule["kind"] == "ratings":
        return [(("file", "row"), rule["file"]["row"])] if rule["file"] else ratings.columns(rule)
    return [(("column",), rule["column"])]


def text_or_turns(table: Values) -> Iterator[Disagreement]:
    """A row is a text, or prompts and answers."""
    if table["text"] is None and not table.get("turns"):
        found = "neither a text nor turns are read"
        remedy = "name the column, or say in `turns` where prompts and answers are"
        yield Disagreement(("text",), found, remedy)
    elif table["text"] is not None and table.get("turns"):
        found = "a row is a text, or turns, not both"
        others = ((("turns",), "the turns"),)
        yield Disagreement(("text",), found, "write null, or remove `turns`", others)


def turns_have_no_label(table: Values) -> Iterator[Disagreement]:
    """A model that writes learns the answer, not a label."""
    if table.get("turns") and table["label"] is not None:
        others = ((("turns",), "the turns"),)
        yield Disagreement(("label",), "rows of turns have no label", "write null", others)


def format_has_the_turns(table: Values) -> Iterator[Disagreement]:
    """Only JSON and Parquet hold lists; plain text holds no pairs."""
    turns, kind = table.get("turns") or {}, table["format"]["kind"]
    is_list = turns.get("kind") == "messages" or len(turns.get("choices") or ()) == 1
    if is_list and kind in ("tsv", "csv", "text"):
        what = "lists of objects" if turns["kind"] == "messages" else "lists of choices"
        found = f"a file of kind {kind} holds no {what}"
        others = ((("format", "kind"), "the format"),)
        yield Disagreement(("turns", "kind"), found, "read it from jsonl, json or parquet", others)


def all_tables_have_turns_or_none(corpus: Values) -> Iterator[Disagreement]:
    """What is made from a corpus reads texts, or conversations."""
    tables = corpus["tables"]
    turns = [bool(table.get("turns")) for table in tables]
    if any(turns) and not all(turns):
        plain, other = turns.index(False), turns.index(True)
        others = ((("tables", other, "turns"), "the turns of another"),)
        remedy = "say where they are, or make it a corpus of its own"
        yield Disagreement(("tables", plain), "this table has no turns", remedy, others)


def all_tables_have_choices_or_none(corpus: Values) -> Iterator[Disagreement]:
    """Scores compare the choices of every row."""
    tables = corpus["tables"]
    choices = [(table.get("turns") or {}).get("kind") == "choices" for table in tables]
    if any(choices) and not all(choices) and all(table.get("turns") for table in tables):
        other, without = choices.index(True), choices.index(False)
        others = ((("tables", other, "turns", "kind"), "the choices of another"),)
        remedy = "give it some, or make it a corpus of its own"
        place = ("tables", without, "turns", "kind")
        yield Disagreement(place, "this table has no choices", remedy, others)


def no_labels_to_contradict(corpus: Values) -> Iterator[Disagreement]:
    """All answers to a prompt may be right; of the labels of a text, one is."""
    turns = any(table.get("turns") for table in corpus["tables"])
    if corpus["contradictions"] == "keep_all" and not turns:
        found = "a text has one row, whatever its labels"
        yield Disagreement(("contradictions",), found, "write drop, keep_first or majority")


def labels_are_there(corpus: Values) -> Iterator[Disagreement]:
    """A model tells at least two labels apart. Texts without any are for pre-training."""
    tables, labels = corpus["tables"], corpus["labels"]
    without = [i for i, table in enumerate(tables) if table["label"] is None]
    if corpus.get("corrections") and len(labels) > 1:
        return  # tables without labels get them from annotations
    if len(without) == len(tables) and labels:
        found, others = "no table has a label", ((("tables", 0, "label"), "null"),)
        yield Disagreement(
            ("labels",),
            found,
            "write [], say where labels are, or name files of them in `corrections`",
            others,
        )
    elif 0 < len(without) < len(tables):
        found = "this table has no label, and others have"
        remedy = "say where it is, or make it a corpus of its own"
        place = next(i for i, table in enumerate(tables) if table["label"] is not None)
        others = ((("tables", place, "label"), "the label of another"),)
        yield Disagreement(("tables", without[0], "label"), found, remedy, others)
    elif not without and len(labels) < 2:
        found = f"a model tells at least two labels apart; it has {len(labels) or 'none'}"
        remedy = "list all; texts without labels have `label: null` in each table"
        yield Disagreement(("labels",), found, remedy)


def labels_are_listed(corpus: Values) -> Iterator[Disagreement]:
    """Each label once, and no table gives another."""
    labels = corpus["labels"]
    yield from _listed_once(("labels",), "label", labels)
    for i, first, _ in repeated([_as_shown(label) for label in labels]):
        if labels[i] != labels[first]:
            found = f"{labels[i]!a} and {labels[first]!a} look the same"
            remedy = "keep one, and `rename` the other to it where the table's label is read"
            yield Disagreement(("labels", i), found, remedy, ((("labels", first), "the first"),))
    for i, table in enumerate(corpus["tables"]):
        for steps, label in _given(table["label"]) if len(labels) > 1 else ():
            if label not in labels:
                found = f"label '{label}' is not among the corpus's labels, {some(labels)}"
                others = ((("labels",), "the corpus's labels"),)
                steps = ("tables", i, "label", *steps)
                yield Disagreement(steps, found, "use one of them, or add it there", others)


def _as_shown(label: str) -> str:
    """Without what no one sees: zero-width characters, space at its ends, how letters are made."""
    visible = (c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) != "Cf")
    return "".join(visible).strip()


def labels_are_given(corpus: Values) -> Iterator[Disagreement]:
    """If all labels are derived from scores, each has a band: others could not be learned."""
    rules = [table["label"] for table in corpus["tables"] if table["label"]]
    given = {label for rule in rules for _, label in _given(rule)}
    derived = rules and all(_lists_its_labels(rule) for rule in rules)
    if derived and given <= set(corpus["labels"]) and not corpus.get("corrections"):
        for i, label in enumerate(corpus["labels"]):
            if label not in given:
                votes = rules[0]["kind"] == "votes"
                what, field = ("function", "functions") if votes else ("band", "bands")
                others = ((("tables", 0, "label", field), f"the {field}"),)
                found = f"no {what} gives label '{label}'"
                yield Disagreement(("labels", i), found, f"remove it, or give it a {what}", others)


def _lists_its_labels(rule: Values) -> bool:
    """Are all labels that it can give in the spec, and no other?"""
    if rule["kind"] == "votes":
        return all(one["kind"] != "lexicon" or one["bands"] for one in rule["functions"])
    return rule["kind"] in ("threshold", "ratings") and rule["bands"] is not None


def _given(rule: Values | None) -> Iterator[tuple[Steps, str]]:
    if rule is None:
        return
    if rule["kind"] == "votes":
        for i, function in enumerate(rule["functions"]):
            yield from ((("functions", i, *at), label) for at, label in _voted(function))
    elif "bands" in rule:
        yield from _of_bands(rule)
    else:
        yield from ((("rename", value), label) for value, label in (rule["rename"] or {}).items())


def _of_bands(rule: Values) -> Iterator[tuple[Steps, str]]:
    for i, band in enumerate(rule["bands"] or ()):
        yield ("bands", i, "label"), band["label"]


def _voted(function: Values) -> Iterator[tuple[Steps, str]]:
    if function["kind"] == "lexicon":
        yield from _of_bands(function)
    elif function["kind"] == "column":
        yield from ((("values", value), label) for value, label in function["values"].items())
    else:
        yield ("label",), function["label"]


def tables_have_their_own_names(corpus: Values) -> Iterator[Disagreement]:
    """Metrics are broken down by them."""
    for i, first, name in repeated([table["name"] for table in corpus["tables"]]):
        found, others = (
            f"two tables are called '{name}'",
            ((("tables", first, "name"), "the first"),),
        )
        yield Disagreement(("tables", i, "name"), found, "rename one", others)


def _listed_once(steps: Steps, what: str, names: Sequence[str]) -> Iterator[Disagreement]:
    for i, first, name in repeated(names):
        others = (((*steps, first), "the first"),)
        found = f"{what} '{name}' is listed twice"
        yield Disagreement((*steps, i), found, "remove one", others)


def each_corpus_once(corpus: Values) -> Iterator[Disagreement]:
    """What is left out once need not be left out again."""
    yield from _listed_once(("without",), "corpus", corpus["without"])


def each_kind_once(corpus: Values) -> Iterator[Disagreement]:
    """What is redacted once need not be redacted again."""
    yield from _listed_once(("redact",), "kind", corpus.get("redact") or ())


def corrections_are_of_labels(corpus: Values) -> Iterator[Disagreement]:
    """Each file once, and there is a label to correct."""
    files = corpus.get("corrections") or ()
    yield from _listed_once(("corrections",), "file", files)
    turns = [i for i, table in enumerate(corpus["tables"]) if table.get("turns")]
    if files and turns:
        place: Steps = ("tables", turns[0], "turns")
        found = "rows of turns have no label to correct"
        others = ((place, "the turns"),)
        yield Disagreement(("corrections",), found, "remove the field", others)
    elif files and not corpus["labels"]:
        place = ("labels",)
        found = "the corpus has no labels to correct"
        remedy = "list the labels, or remove the field"
        yield Disagreement(("corrections",), found, remedy, ((place, "none"),))
