"""gates: what must hold among the fields of a gate."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def day_exists(waiver: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A waiver ends on a day of the calendar."""
    try:
        datetime.date.fromisoformat(waiver["until"])
    except ValueError:
        remedy = "write year-month-day, such as '2027-01-31'"
        yield Disagreement(("until",), f"there is no day {waiver['until']}", remedy)


def waiver_is_signed(waiver: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A waiver has words and a name: white space is neither."""
    for field, remedy in (
        ("reason", "say why the change is adopted all the same"),
        ("signed_off_by", "name who is responsible"),
    ):
        if not waiver[field].strip():
            yield Disagreement((field,), "it has no words", remedy)


def gap_is_among_several(gate: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A gap is between several values."""
    if "*" not in gate["metric"].split("."):
        remedy = "put `*` in the place of the class or table, such as scores.release.test.f1.*"
        yield Disagreement(("metric",), "it names one value, and a gap needs several", remedy)
