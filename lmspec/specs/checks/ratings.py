"""ratings checks: models that know raters are given some, and files have the columns."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.errors import some
from lmspec.specs.disagreement import Disagreement, Steps, repeated

Values = Mapping[str, Any]
SCORED = ("mean", "bias_precision")  # what makes one number of several
KNOWING = ("bias_precision", "one_coin")  # what has parameters of a rater


def scores_have_bands(rule: Values) -> Iterator[Disagreement]:
    """A mean of ratings is a number, which no label is."""
    if rule["model"] in SCORED and rule["bands"] is None:
        found = f"`model: {rule['model']}` gives a score, and no band says which label it gets"
        others = ((("model",), "the model"),)
        remedy = "give bands; of ratings that are labels, take `majority` or `one_coin`"
        yield Disagreement(("bands",), found, remedy, others)


def models_know_raters(rule: Values) -> Iterator[Disagreement]:
    """A model of raters needs to know who rated; others would not look."""
    knows = rule["model"] in KNOWING
    if knows and rule["rater"] is None:
        found = f"`model: {rule['model']}` has parameters of each rater, and no one knows who rated"
        others = ((("model",), "the model"),)
        simple = "mean" if rule["model"] in SCORED else "majority"
        remedy = f"say who did, or take `{simple}`"
        yield Disagreement(("rater",), found, remedy, others)
    elif rule["rater"] is not None and not knows:
        found = f"`model: {rule['model']}` takes all raters for equal"
        others = ((("model",), "the model"),)
        yield Disagreement(("rater",), found, "write null", others)


def ratings_have_raters(rule: Values) -> Iterator[Disagreement]:
    """Positions are of lists and columns; a column names the rater of one rating."""
    rows, rater = rule["ratings"]["kind"] == "rows", rule["rater"]
    if rows and rule["file"] is None:
        found = "a row of the table is one text, and cannot be one rating"
        others = ((("ratings", "kind"), "a row for each rating"),)
        yield Disagreement(("file",), found, "name the file that has those rows", others)
    if rater is not None and rows != (rater["kind"] == "column"):
        found = (
            "rows of ratings have no position that is a person"
            if rows
            else "a column says who gave one rating, and here are several in a row"
        )
        others = ((("ratings", "kind"), "the ratings"),)
        remedy = f"write `kind: {'column' if rows else 'block'}`"
        yield Disagreement(("rater", "kind"), found, remedy, others)


def ratings_file_has_the_columns(rule: Values) -> Iterator[Disagreement]:
    """If the spec names the columns of the ratings' file, those that are read are among them."""
    named = rule["file"]["format"].get("columns") if rule["file"] else None
    if named is None:
        return
    for steps, name in [(("file", "key"), rule["file"]["key"]), *columns(rule)]:
        if name not in named:
            found = f"the file has no column '{name}'; its columns are {some(named)}"
            others = ((("file", "format", "columns"), "the columns"),)
            yield Disagreement(steps, found, "name one of them, or correct the columns", others)


def columns_are_listed_once(rule: Values) -> Iterator[Disagreement]:
    """A rating counts once."""
    for i, first, name in repeated(rule["ratings"].get("columns") or ()):
        found = f"column '{name}' is listed twice"
        others = ((("ratings", "columns", first), "the first"),)
        yield Disagreement(("ratings", "columns", i), found, "remove one", others)


def ratings_can_be_enough(rule: Values) -> Iterator[Disagreement]:
    """A text cannot have more ratings than there are columns of them."""
    given = rule["ratings"].get("columns")
    if given is not None and len(given) < rule["min_raters"]:
        found = f"every row would be left out: it has at most {len(given)} ratings"
        others = ((("ratings", "columns"), "the ratings"),)
        yield Disagreement(("min_raters",), found, "lower it, or name further columns", others)


def columns(rule: Values) -> list[tuple[Steps, str]]:
    """(field, column) of the ratings, and of who gave them."""
    ratings, rater = rule["ratings"], rule["rater"]
    if ratings["kind"] == "columns":
        used: list[tuple[Steps, str]] = [
            (("ratings", "columns", i), name) for i, name in enumerate(ratings["columns"])
        ]
    else:
        used = [(("ratings", "column"), ratings["column"])]
    if rater is not None and rater["kind"] == "column":
        used.append((("rater", "column"), rater["column"]))
    return used
