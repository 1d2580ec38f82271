"""swallowed: texts with lines that look like other rows, as a quote that is not closed leaves them.

Such a table is valid: the quote that opens one text by chance is closed by one of a later row.
"""

import re
from collections.abc import Collection

MOST_VALUES = 200  # a longer alternation is slow


def row_pattern(values: Collection[str]) -> re.Pattern[str]:
    """A line with a tab between two words, or with a value of the label column at one end."""
    known = "|".join(re.escape(value) for value in values if value) if values else ""
    ends = rf"|(?:{known})[,;].*|.*[,;](?:{known})" if len(values) <= MOST_VALUES and known else ""
    return re.compile(rf"(?m)^(?:.*\S\t+\S.*{ends})\r?$")


def rows_within(text: str, pattern: re.Pattern[str]) -> int:
    """How many lines look like rows, if they are at least half of those after the first; else 0."""
    breaks = text.count("\n")
    if not breaks:
        return 0
    found = sum(1 for _ in pattern.finditer(text))
    return found if 2 * found >= breaks else 0


def question(kind: str) -> str:
    """What to ask about such texts of a table of this `format`."""
    if kind in ("csv", "tsv"):
        return "is a quote not closed?"
    return "was a quote not closed in what the file was made from?"
