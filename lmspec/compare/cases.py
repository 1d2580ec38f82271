"""cases: the committed table of cases of an `examined` artifact, as the statistics take it."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from lmspec.compare.report import Example
from lmspec.statistics import cases
from lmspec.statistics.answers import Answers, TextScale

TABLE = "cases"
COLUMNS = ("suite", "id", "group", "term", "expected", "predicted", "probability", "passed")
Table = Mapping[str, Sequence[str]]


def read(table: Table | None) -> dict[str, tuple[Answers, TextScale]]:
    """Suite -> its cases, and their metric; without suites that cannot be read."""
    if table is None or not set(COLUMNS) <= table.keys():
        return {}
    found: dict[str, tuple[Answers, TextScale]] = {}
    for suite in dict.fromkeys(table["suite"]):
        places = [i for i, name in enumerate(table["suite"]) if name == suite]
        own = {name: [table[name][i] for i in places] for name in COLUMNS}
        side = _terms(own) if not any(own["passed"]) else _cases(own)
        if side is not None:
            found[suite] = side, cases.scale(side)
    return found


def _cases(own: Table) -> cases.Cases | None:
    if set(own["passed"]) - {cases.PASS, cases.FAIL}:
        return None
    return cases.of_cases(own["id"], own["group"], own["passed"])


def _terms(own: Table) -> cases.Terms | None:
    """None unless each template has each term once, and a finite number."""
    ids, terms = (list(dict.fromkeys(own[name])) for name in ("id", "term"))
    try:
        by_place = {
            (name, term): float(value)
            for name, term, value in zip(own["id"], own["term"], own["probability"], strict=True)
        }
        numbers = np.array([[by_place[name, term] for term in terms] for name in ids])
    except (ValueError, KeyError):
        return None
    if len(own["id"]) != numbers.size or not np.isfinite(numbers).all():
        return None
    return cases.of_terms(ids, terms, numbers)


def means(side: cases.Terms) -> dict[str, float]:
    """Term -> mean probability, the lowest first."""
    numbers = side.parts[cases.GAP].numbers[:, 1:].mean(0)
    order = np.argsort(numbers, kind="stable")
    return {side.terms[i]: float(numbers[i]) for i in order}


def severities(table: Table | None, suite: str) -> dict[str, float]:
    """Id -> how far a case is from what must hold; 0 where that is unknown."""
    if table is None or not {"suite", "id", "severity"} <= table.keys():
        return {}
    rows = zip(table["suite"], table["id"], table["severity"], strict=True)
    return {name: number(value) or 0.0 for own, name, value in rows if own == suite}


def rows(table: Table | None, suite: str, ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Id -> the row of a case, by column."""
    if table is None or not {"suite", "id"} <= table.keys():
        return {}
    places = {
        name: i
        for i, (own, name) in enumerate(zip(table["suite"], table["id"], strict=True))
        if own == suite and name in ids
    }
    return {
        name: {column: cells[i] for column, cells in table.items()} for name, i in places.items()
    }


def number(text: str) -> float | None:
    """The number in a cell; None if it holds none."""
    try:
        return float(text)
    except ValueError:
        return None


def flipped(
    tables: tuple[Table | None, Table | None],
    suite: str,
    ids: Sequence[str],
    texts: Mapping[str, str],
) -> Iterator[Example]:
    """Cases that failed in the candidate alone, the worst first.

    tables  of the baseline and of the candidate; texts: id -> text, where git has none
    """
    before, after = (rows(table, suite, ids) for table in tables)
    severe = severities(tables[1], suite)
    for name in sorted(ids, key=lambda name: -severe.get(name, 0.0)):
        old, new = before[name], after[name]
        yield Example(
            name,
            new["term"],
            new["expected"],
            old["predicted"],
            new["predicted"],
            number(old["probability"]) or 0.0,
            number(new["probability"]) or 0.0,
            new.get("text") or texts.get(name),
        )
