"""grouping: the group of a row; all rows of a group go to the same split."""

import re
from collections.abc import Mapping

from lmspec.errors import LmspecError
from lmspec.specs.corpus import Group


def group_of(row: Mapping[str, str | None], rule: Group | None, table: str) -> str | None:
    """`<table>:<group>`, or None if the row is a group of its own.

    Raises LmspecError if the pattern does not match a value.
    """
    if rule is None or row[rule.column] is None:
        return None
    value = str(row[rule.column])
    if rule.pattern is None:
        return f"{table}:{value}"
    match = re.search(rule.pattern, value)
    if match is None or match.group(1) is None:
        raise LmspecError(
            f"corpus: table {table}",
            f"the group pattern {rule.pattern!r} finds no group in {value!r}",
            "correct the pattern: its first parenthesis is the group",
        )
    return f"{table}:{match.group(1)}"
