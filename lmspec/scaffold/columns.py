"""columns: which columns of a file hold texts and labels, or prompts and answers."""

import json
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from pydantic import ValidationError

from lmspec.errors import LmspecError, some
from lmspec.formats import delimited
from lmspec.specs.tabular import Delimited

READ = 100  # objects of a JSON file, whose keys are its columns
# Columns of prompts and answers as people publish them: what they call it, prompt, answer.
PAIRS = (
    ("Alpaca", ("instruction", "input"), "output"),
    ("prompts and completions", ("prompt",), "completion"),
    ("prompts and responses", ("prompt",), "response"),
    ("prompts and answers", ("prompt",), "answer"),
    ("questions and answers", ("question",), "answer"),
    ("questions and responses", ("question",), "response"),
    ("instructions and outputs", ("instruction",), "output"),
    ("instructions and responses", ("instruction",), "response"),
    ("inputs and outputs", ("input",), "output"),
)
NO_LISTS = (".csv", ".tsv", ".tab")
CHATS = {"messages": "OpenAI's messages", "conversations": "ShareGPT's conversations"}


class Columns(NamedTuple):
    """What a user names: text and label; prompts and an answer; or conversations.

    prompt  several columns make one prompt
    """

    text: str | None = None
    label: str | None = None
    prompt: tuple[str, ...] = ()
    answer: str | None = None
    messages: str | None = None

    @property
    def writes(self) -> bool:
        """Are they those of a model that writes?"""
        return bool(self.prompt or self.answer is not None or self.messages is not None)

    @property
    def named(self) -> tuple[str, ...]:
        """Those of a model that writes."""
        one = (self.answer, self.messages)
        return (*self.prompt, *(name for name in one if name is not None))


def require_one_kind(columns: Columns) -> None:
    """Raise LmspecError if they are of two kinds of project, or of two forms of conversations."""
    given = {name: value for name, value in columns._asdict().items() if value not in (None, ())}
    of_labels = [f"--{name}" for name in ("text", "label") if name in given]
    of_pairs = [f"--{name}" for name in ("prompt", "answer") if name in given]
    chats = ["--messages"] if "messages" in given else []
    if of_labels and columns.writes:
        found = f"{of_labels[0]} is of a model that tells labels apart, and"
        found += f" {[*of_pairs, *chats][0]} of one that writes"
        remedy = "give --text and --label, or --prompt and --answer, or --messages"
        raise LmspecError(" ".join([*of_labels, *of_pairs, *chats]), found, remedy)
    if chats and of_pairs:
        found = "conversations have prompts and answers in one column"
        raise LmspecError(
            f"--messages {of_pairs[0]}", found, "give --messages alone, or the others"
        )
    for name in {name for name in columns.named if columns.named.count(name) > 1}:
        raise LmspecError("--prompt", f"'{name}' is named twice", "name each column once")


def require_lists(path: Path, columns: Columns) -> None:
    """Raise LmspecError if conversations are to come from a file that holds no lists."""
    if columns.messages is not None and path.suffix.lower() in NO_LISTS:
        found = f"conversations are lists of turns, which a {path.suffix} does not hold"
        raise LmspecError(str(path), found, "save it as JSONL, JSON or Parquet")


def require_named(path: Path, columns: Columns, names: Sequence[str]) -> None:
    """Raise LmspecError if the prompt or the answer is not named; names: the file's columns."""
    if columns.messages is not None or (columns.prompt and columns.answer is not None):
        return
    lacking = "answer" if columns.prompt else "prompt"
    left = [name for name in names if name not in columns.named]
    remedy = f"give --{lacking}: its other columns are {some([repr(name) for name in left])}"
    raise LmspecError(str(path), f"which column holds the {lacking}?", remedy)


def require_labels(path: Path, columns: Columns, folder: Path) -> None:
    """Raise LmspecError if no column is named, and the file looks like prompts and answers."""
    if columns.text is not None or columns.label is not None:
        return
    found = list(_recognised(of(path), path, folder))
    if found:
        raise LmspecError(
            str(path),
            f"it looks like {found[0][0]}, for a model that writes",
            "run "
            + " or ".join(command for _, command in found)
            + "; for a model that tells labels apart, give --text and --label",
        )


def _recognised(names: Sequence[str], path: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """(what people call it, the command that begins a project with it)."""
    for name, known in CHATS.items():
        if name in names and path.suffix.lower() not in NO_LISTS:
            yield known, _command(path, folder, f"--messages {name}")
    for known, prompt, answer in PAIRS:
        if {*prompt, answer} <= set(names):
            options = " ".join(f"--prompt {name}" for name in prompt)
            yield known, _command(path, folder, f"{options} --answer {answer}")
            return


def _command(path: Path, folder: Path, options: str) -> str:
    shown = "FOLDER" if folder == Path() else shlex.quote(str(folder))
    return f"`lmspec init {shown} --data {shlex.quote(str(path))} {options} --weights WEIGHTS`"


def of(path: Path) -> list[str]:
    """Names of the columns; of a JSON file, keys of its first objects. Empty if it is not read.

    What is wrong with such a file, its reader says.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in NO_LISTS:
            kind = "csv" if suffix == ".csv" else "tsv"
            form = {"kind": kind, "quoting": "double" if kind == "csv" else "none"}
            spec = Delimited.model_validate(form | {"columns": None})
            return list(next(delimited.rows(path, spec, str(path))))
        if suffix == ".parquet":
            return list(pl.read_parquet_schema(path))
        with path.open(encoding="utf-8-sig") as file:
            if suffix == ".json":
                return _keys(_listed(json.load(file))[1])
            return _keys([json.loads(line) for line in islice(file, READ) if line.strip()])
    except (OSError, ValueError, ValidationError, LmspecError, RecursionError, StopIteration):
        return []
    except pl.exceptions.PolarsError:
        return []


def nested(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The `format` in params.yaml of one JSON document, with these columns.

    Raises LmspecError if it is neither a list of objects nor an object with one such list.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            before, _ = _listed(json.load(file))
    except (ValueError, RecursionError) as error:
        raise LmspecError(str(path), f"it does not parse as JSON: {error}", "correct it") from None
    rows = [*before, "*"]
    columns = [{"name": name, "kind": "value", "at": [*rows, name]} for name in names]
    return {"kind": "json", "rows": rows, "columns": columns}


def _listed(document: Any) -> tuple[list[str], list[Any]]:
    """(keys to it, the list of rows) of a document. Raises ValueError if there is no such list."""
    if isinstance(document, list):
        return [], document
    entries = document.items() if isinstance(document, dict) else ()
    lists = [(key, value) for key, value in entries if isinstance(value, list)]
    if len(lists) != 1:
        raise ValueError("it is neither a list of objects, nor an object with one such list")
    return [lists[0][0]], lists[0][1]


def _keys(rows: Sequence[Any]) -> list[str]:
    """Of all objects among the first rows, in order."""
    return list(dict.fromkeys(k for row in rows[:READ] if isinstance(row, dict) for k in row))
