"""rating: ratings as the rows of a file have them, checked: whose they are, and of which text."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from lmspec.errors import LmspecError, some
from lmspec.methods import labelling
from lmspec.specs.ratings import InColumns, InRows, Listed, Named, Position, RatingsLabel

SHOWN = 60
Cells = Mapping[str, str | None]


class Given(NamedTuple):
    """Ratings of a file.

    unit   key -> position of the text that is rated; empty if rows are those of the table
    units  how many texts
    row, rater, text, place  (N,) of each rating: text, rater, what is written, and in which row
    raters names; empty if no one knows
    """

    unit: dict[str, int]
    units: int
    row: list[int]
    rater: list[int]
    text: list[str]
    place: list[int]
    raters: list[str]


def read(rows: Iterable[Cells], rule: RatingsLabel, missing: Collection[str], place: str) -> Given:
    """The ratings of a file's rows. place: what messages call it.

    Raises LmspecError: a cell that is no list, lists of different length in a block, a rater who
    rated nothing or has no name, a key or a rater twice.
    """
    return (
        _long(rows, rule, missing, place)
        if isinstance(rule.ratings, InRows)
        else _wide(rows, rule, missing, place)
    )


def _long(rows: Iterable[Cells], rule: RatingsLabel, missing: Collection[str], place: str) -> Given:
    assert isinstance(rule.ratings, InRows) and rule.file is not None
    unit: dict[str, int] = {}
    names: dict[str, int] = {}
    first: dict[tuple[int, int], int] = {}
    found = Given(unit, 0, [], [], [], [], [])
    for number, cells in enumerate(rows, start=1):
        key = _key(cells, rule.file.key, missing, number, place)
        text = labelling.present(cells[rule.ratings.column], missing)
        row = unit.setdefault(key, len(unit))
        rater = 0
        if isinstance(rule.rater, Named):
            name = labelling.present(cells[rule.rater.column], missing)
            if name is None:
                what = f"row {number} has no rater in '{rule.rater.column}'"
                raise LmspecError(place, what, "say who gave the rating, or remove the row")
            rater = names.setdefault(name.strip(), len(names))
            if text is not None and first.setdefault((row, rater), number) != number:
                what = f"row {number}: {name!r} rates {key!r} again, as in row {first[row, rater]}"
                raise LmspecError(place, what, "remove one of the rows")
        if text is not None:
            _add(found, row, rater, text, number)
    _require_work(found, names, place)
    return found._replace(units=len(unit), raters=[*names])


def _wide(rows: Iterable[Cells], rule: RatingsLabel, missing: Collection[str], place: str) -> Given:
    unit: dict[str, int] = {}
    names: dict[str, int] = {}
    found = Given(unit, 0, [], [], [], [], [])
    first, length, number = 1, 0, 0  # of a block: its first row, and ratings in that
    for number, cells in enumerate(rows, start=1):
        if rule.file is not None:
            key = _key(cells, rule.file.key, missing, number, place)
            if unit.setdefault(key, number - 1) != number - 1:
                what = f"row {number} has the key {key!r} of row {unit[key] + 1}"
                raise LmspecError(place, what, "remove one of the rows")
        listed = _listed(cells, rule, missing, number, place)
        if isinstance(rule.rater, Position):
            if number == 1 or (rule.rater.rows and (number - 1) % rule.rater.rows == 0):
                first, length = number, len(listed)
            if len(listed) != length:
                what = f"row {number} has {len(listed)} ratings, and row {first}, where its block"
                what += f" begins, has {length}"
                remedy = "positions are people only in lists of one length: write null for a"
                remedy += " rating that is lacking, or correct `rater.rows`"
                raise LmspecError(place, what, remedy)
        for position, text in enumerate(listed):
            rater = 0
            if isinstance(rule.rater, Position):
                name = _name(rule, first, position)
                rater = names.setdefault(name, len(names))
            if text is not None:
                _add(found, number - 1, rater, text, number)
    _require_work(found, names, place)
    return found._replace(units=number, raters=[*names])


def _name(rule: RatingsLabel, first: int, position: int) -> str:
    """What a position is called: the first row of its block, if there are more, and its column."""
    assert isinstance(rule.rater, Position)
    column = rule.ratings.columns[position] if isinstance(rule.ratings, InColumns) else None
    own = column or str(position + 1)
    return own if rule.rater.rows is None else f"{first}:{own}"


def _add(found: Given, row: int, rater: int, text: str, number: int) -> None:
    found.row.append(row)
    found.rater.append(rater)
    found.text.append(text)
    found.place.append(number)


def _key(cells: Cells, column: str, missing: Collection[str], number: int, place: str) -> str:
    key = labelling.present(cells[column], missing)
    if key is None:
        what = f"row {number} has no key in '{column}'"
        raise LmspecError(place, what, "say which row of the table it is about, or remove it")
    return key.strip()


def _require_work(found: Given, names: Mapping[str, int], place: str) -> None:
    """Raise LmspecError if a rater has no rating, or there is none at all."""
    if not found.text:
        raise LmspecError(place, "there is no rating in it", "correct `label.ratings`")
    idle = sorted({*names.values()} - {*found.rater})
    if idle:
        listed = some([name for name, number in names.items() if number in {*idle}])
        what = f"raters without a rating: {listed}"
        remedy = "remove them; of a block, they are its first row and the position"
        raise LmspecError(place, what, remedy)


def _listed(
    cells: Cells, rule: RatingsLabel, missing: Collection[str], number: int, place: str
) -> list[str | None]:
    """The ratings of one row, None where there is none."""
    if isinstance(rule.ratings, InColumns):
        return [labelling.present(cells[name], missing) for name in rule.ratings.columns]
    assert isinstance(rule.ratings, Listed)
    cell = labelling.present(cells[rule.ratings.column], missing)
    if cell is None:
        return []
    try:
        values: Any = json.loads(cell, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(one, str | None) for one in values):
        what = f"row {number} has no list of ratings in '{rule.ratings.column}':"
        what += f" {cell[:SHOWN]!r}"
        remedy = "write such as [3, 2, null]; if the file is cut off, get it again"
        raise LmspecError(place, what, remedy)
    return [labelling.present(one, missing) for one in values]
