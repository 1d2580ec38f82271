"""anycase: the entry of a list that a regular expression found in a text, in any case."""

import re
from collections.abc import Mapping


def entry(entries: Mapping[str, str], match: str) -> str:
    """The value of the key that `re.IGNORECASE` takes for this text.

    entries  by lower-case keys, the first that matches counts
    That flag takes the dotted and the dotless i of Turkish for an i, and a long s for an s, whose
    lower case is another: `ALİ` is found as `ali`. Raises KeyError if no key matches.
    """
    if (lower := match.lower()) in entries:
        return entries[lower]
    for key, value in entries.items():
        if re.fullmatch(re.escape(key), match, re.IGNORECASE):
            return value
    raise KeyError(match)
