"""pairs: prompts and answers of a new project, read as its corpus stage will read them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmspec.errors import LmspecError, some
from lmspec.formats import plaintext, rawtable
from lmspec.methods import conversing, folders, labelling
from lmspec.methods.cleaning import document_id
from lmspec.methods.conversing import NoTurns, Turn
from lmspec.scaffold import columns as named
from lmspec.scaffold import quoting, refusals, speaking
from lmspec.scaffold.columns import Columns
from lmspec.scaffold.table import format_of, name_of
from lmspec.specs.corpus import Clean, Table

SAMPLE = 2000  # conversations whose tokens are counted, at least, of a longer table
# What stands for nothing in a prompt or an answer: pandas' words, and Alpaca's. Others, as None,
# can be answers.
MISSING = ("nan", "NaN", "<NA>", "<noinput>")
AS_THEY_ARE = Clean(fix_unicode=False, unescape_html=False, min_chars=1, max_chars=10_000_000)
FEWEST_ROWS = 30
FEW_ANSWERS = 20  # different ones: they may be labels
JOINED_BY = "\n\n"


@dataclass
class Sample:
    """Items of a stream, evenly spaced, `most` to twice as many of a long one."""

    most: int
    items: list[tuple[Turn, ...]] = field(default_factory=list)
    step: int = 1
    seen: int = 0

    def add(self, item: tuple[Turn, ...]) -> None:
        """The next one."""
        if self.seen % self.step == 0:
            self.items.append(item)
            if len(self.items) == 2 * self.most:
                self.items, self.step = self.items[::2], 2 * self.step
        self.seen += 1


@dataclass(frozen=True)
class PairTable:
    """A file with a prompt and its answer in each row, or a conversation.

    spec      format, missing and turns of the table in params.yaml
    notes     what was decided or left out, for people
    lengths   characters of each row that is one, all turns together
    distinct  number of different rows
    prompts   number of different prompts
    several   number of prompts that have several answers
    turns     most turns of a row, a system prompt aside
    systems   rows that have a system prompt
    swaps     most answers hold the first word of their prompt, as commands do
    sample    of the rows, evenly spaced
    """

    path: Path
    spec: dict[str, Any]
    notes: list[str]
    lengths: list[int]
    distinct: int
    prompts: int
    several: int
    turns: int
    systems: int
    swaps: bool
    sample: list[tuple[Turn, ...]]

    @property
    def name(self) -> str:
        """A name for its artifacts, made from the file's."""
        return name_of(self.path)


def read(path: Path, columns: Columns) -> PairTable:
    """Raises LmspecError if no model can learn to answer from it, with the columns it has."""
    refusals.require_table(path, (*refusals.FORMATS, ".json"))
    named.require_one_kind(columns)
    named.require_lists(path, columns)
    named.require_named(path, columns, named.of(path))
    form = named.nested(path, columns.named) if path.suffix.lower() == ".json" else format_of(path)
    table = _table(path, form, columns)
    known: Counter[str] = Counter()
    roles = speaking.Roles()
    for row in _rows(path, table):
        known.update(cell.strip() for cell in row.values() if cell and cell.strip() in MISSING)
        if columns.messages is not None:
            roles.add(row[columns.messages])
    if columns.messages is not None:
        table["turns"] |= roles.rule(path, columns.messages)
    table["missing"] = ["", *(word for word in MISSING if word in known)]
    notes = [*quoting.described(form), *roles.notes()]
    if known:
        words = some([f"{word} {count:,}" for word, count in known.most_common()])
        notes.append(f"cells that stand for nothing: {words} (`missing` in params.yaml)")
    return _surveyed(path, table, notes)


def _table(path: Path, form: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """The table in params.yaml; of conversations, the keys and roles are found later."""
    turns: dict[str, Any]
    if columns.messages is not None:
        turns = {"kind": "messages", "column": columns.messages, **speaking.USUAL}
    else:
        turns = {
            "kind": "pair",
            "prompt": list(columns.prompt),
            "joined_by": JOINED_BY,
            "answer": columns.answer,
            "system": None,
            "replace": [],
        }
    return {
        "name": "data",
        "of": "sources.data",
        "file": path.name,
        "format": form,
        "missing": [],
        "text": None,
        "turns": turns,
        "label": None,
        "group": None,
    }


def _valid(path: Path, table: Mapping[str, Any]) -> Table:
    try:
        return Table.model_validate(table)
    except ValidationError as error:
        what = "name" if "file" in error.errors()[0]["loc"] else "column names"
        remedy = "rename it: UTF-8, no control character, no backslash, at most 1,000 characters"
        raise LmspecError(folders.shown(path), f"no project can hold its {what}", remedy) from None


def _rows(path: Path, table: Mapping[str, Any]) -> Iterator[dict[str, str | None]]:
    try:
        yield from rawtable.rows(path, _valid(path, table))
    except LmspecError as error:
        raise refusals.for_newcomers(path, True, error) from None


def _surveyed(path: Path, table: dict[str, Any], notes: list[str]) -> PairTable:
    """Go through the rows as the corpus will."""
    spec = _valid(path, table)
    answers: dict[str, set[str]] = {}
    ids: set[str] = set()
    shown: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    detail: dict[str, str] = {}
    lengths: list[int] = []
    most = systems = swaps = 0
    sample = Sample(SAMPLE)
    for row in _rows(path, table):
        given = {name: labelling.present(cell, spec.missing) for name, cell in row.items()}
        turns = conversing.turns_of(given, spec, AS_THEY_ARE)
        if isinstance(turns, NoTurns):
            left_out[turns.reason] += 1
            detail.setdefault(turns.reason, turns.detail)
            continue
        lengths.append(len(conversing.text_of(turns)))
        ids.add(conversing.row_id(turns))
        prompt = document_id(conversing.text_of(turns[:-1]))
        answers.setdefault(prompt, set()).add(conversing.answer_id(turns))
        if len(shown) <= FEW_ANSWERS:
            shown[turns[-1].content] += 1
        is_system = turns[0].role == conversing.SYSTEM
        systems += is_system
        most = max(most, len(turns) - is_system)
        swaps += speaking.answer_has_the_first_word(turns)
        sample.add(turns)
    if left_out:
        reasons = [f"{reason} {n:,} ({detail[reason]})" for reason, n in left_out.most_common()]
        notes = [*notes, f"rows that are left out: {some(reasons)}"]
    _require_enough(path, table, len(ids), shown, notes)
    if len(shown) <= FEW_ANSWERS and len(lengths) >= 10 * len(shown):
        notes = [*notes, _labels(shown)]
    return PairTable(
        path,
        {name: table[name] for name in ("format", "missing", "turns")},
        notes,
        lengths,
        len(ids),
        len(answers),
        sum(len(each) > 1 for each in answers.values()),
        most,
        systems,
        swaps > len(lengths) / 2,
        sample.items,
    )


def _require_enough(
    path: Path, table: Mapping[str, Any], rows: int, shown: Counter[str], notes: Sequence[str]
) -> None:
    """Raise LmspecError if there are too few different rows, or one answer to all."""
    if rows < FEWEST_ROWS:
        found = f"it has {rows} different prompts with an answer"
        remedy = f"a model that writes needs at least {FEWEST_ROWS}"
        if rows == 0 and table["turns"]["kind"] == "messages":
            found = f"no row of '{table['turns']['column']}' is a conversation"
            remedy = f"it needs a list such as {speaking.EXAMPLE}"
        raise LmspecError(str(path), "; ".join([found, *notes[-1:]]), remedy)
    if len(shown) < 2:
        found = f"every answer is {plaintext.shown(next(iter(shown)))}"
        raise LmspecError(str(path), found, "a model that writes needs several")


def _labels(shown: Counter[str]) -> str:
    listed = some([f"{plaintext.shown(a)} {n:,}" for a, n in shown.most_common()])
    return (
        f"there are only {len(shown)} different answers ({listed}): --text and --label make a"
        " smaller and faster model that tells them apart"
    )
