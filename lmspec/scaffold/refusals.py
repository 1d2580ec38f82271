"""refusals: what no project can begin with, and what to do about it."""

import re
import shlex
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.formats import plaintext

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
TAB = "\\t"  # as an error quotes it
SEPARATORS = {".csv": (TAB, ";", "|"), ".tsv": (";", "|", ","), ".tab": (";", "|", ",")}
SPREADSHEETS = (".xlsx", ".xls", ".ods")
CONVERT = {
    "": "convert it to one of these: a .csv or .tsv needs a line with the columns' names",
    ".json": "it needs one object a line: `jq -c '.[]' {} > NEW.jsonl` writes that of an array",
} | dict.fromkeys(SPREADSHEETS, "save it as CSV UTF-8 in the program that it comes from")
FEWEST_ROWS = 30
MOST_LABELS = 1000
FEWEST_PER_LABEL = 3  # rows on average; a column with fewer holds names or numbers, not labels
LONGEST_LABEL = 100


def require_table(path: Path, suffixes: Collection[str] = tuple(FORMATS)) -> None:
    """Raise LmspecError if it is no file of a known kind."""
    if path.is_dir():
        raise LmspecError(str(path), "it is a folder", "name the file in it")
    if not path.is_file():
        raise LmspecError(str(path), "there is no such file", "correct --data")
    suffix = path.suffix.lower()
    if suffix in suffixes:
        return
    found, remedy = f"it is no {', '.join(suffixes)}", CONVERT.get(suffix)
    if suffix not in SPREADSHEETS:
        with path.open("rb") as file:
            first = file.read(400).decode(errors="replace").partition("\n")[0]
        found += f"; its first line is {plaintext.shown(first)}"
    raise LmspecError(str(path), found, (remedy or CONVERT[""]).format(shlex.quote(path.name)))


def for_newcomers(path: Path, named: bool, error: LmspecError) -> LmspecError:
    """An error of the table reader, for someone who has no params.yaml yet.

    named  did the user name both columns?
    """
    only = re.fullmatch(r"its columns are ('[^']*')", error.remedy)
    found, remedy = error.found, error.remedy
    signs = [sign for sign in SEPARATORS.get(path.suffix.lower(), ()) if only and sign in only[1]]
    if only and signs:
        found = f"it has one column, {only[1]}"
        remedy = _separated(path, signs[0])
    elif "it has no column" in found and not named:
        found = "which columns hold the text and the label?"
        remedy = f"give --text and --label, or --prompt and --answer: {remedy}"
    return LmspecError(str(path), found, remedy)


def _separated(path: Path, sign: str) -> str:
    """What to do about a file whose columns are separated by that."""
    suffix = path.suffix.lower()
    if sign == TAB:
        return "its columns are separated by tabs: name it .tsv"
    delimiter = "" if suffix == ".csv" else ", delimiter='\\t'"
    reader, writer = (
        f"csv.reader(sys.stdin, delimiter='{sign}')",
        f"csv.writer(sys.stdout{delimiter})",
    )
    command = f'python -X utf8 -c "import csv, sys; {writer}.writerows({reader})"'
    return (
        f"its columns are separated by '{sign}'; for others, "
        f"`{command} < {shlex.quote(path.name)} > NEW{suffix}`"
    )


def require_enough(path: Path, label: str, texts: int, counts: Counter[str]) -> None:
    """Raise LmspecError if a column holds no labels, or there are too few texts.

    label   its name
    texts   how many different ones have a label
    counts  label -> rows
    """
    column = f"{path}: {label}"
    if len(counts) < 2:
        only = (
            f"every label is {plaintext.shown(next(iter(counts)))}" if counts else "it has no label"
        )
        raise LmspecError(column, only, "a classifier needs two")
    if len(counts) > min(MOST_LABELS, max(2, counts.total() // FEWEST_PER_LABEL)):
        raise LmspecError(
            column,
            f"it has {len(counts):,} different values in {counts.total():,} rows, such as "
            f"{some(list(counts)[:3])}",
            f"name a column with at most {MOST_LABELS:,} labels and {FEWEST_PER_LABEL} rows of "
            "each, or with a score",
        )
    if texts < FEWEST_ROWS:
        each = some(
            [f"{count} of {plaintext.shown(label)}" for label, count in counts.most_common()]
        )
        found = f"it has {texts} different texts with a label: {each}"
        raise LmspecError(str(path), found, f"a model needs at least {FEWEST_ROWS}")
    if (longest := max(map(len, counts))) > LONGEST_LABEL:
        raise LmspecError(
            column,
            f"a label has {longest} characters: {plaintext.shown(max(counts, key=len))}",
            "is this the column of the labels?",
        )
