"""errors: the one error a user sees: the place, what was found, the rule, the next step."""

import re
from collections.abc import Sequence

# Controls drive a terminal, direction marks reverse a line, and UTF-8 has no surrogates.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufffe\uffff]"
)
# A CI runner takes a line that begins with :: as a command, and ##[ or ##vso[ anywhere in one.
COMMANDS = re.compile(r"(?m)^\s*:(?=:)|##(?=\w*\[)")


class LmspecError(Exception):
    """A mistake of the user or a fault of the system: one message, never a traceback.

    place   where: `params.yaml:41:11`, `model.minilm`, a file
    found   what was found there, and the rule that it breaks
    remedy  what to do next
    """

    def __init__(self, place: str, found: str, remedy: str) -> None:
        super().__init__(place, found, remedy)
        self.place, self.found, self.remedy = place, found, remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.found}\n  -> {self.remedy}"


def harmless(text: object) -> str:
    """As a terminal and a CI runner show it, and do nothing else with it; lines and tabs stay."""
    lines = re.sub("\r\n|[\u2028\u2029]", "\n", str(text))
    return COMMANDS.sub(r"\g<0> ", UNPRINTABLE.sub("\ufffd", lines))


def some(names: Sequence[str]) -> str:
    """The first eight names, each cut if it is long, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    short = (name if len(name) <= 100 else f"{name[:100]}…" for name in names[:8])
    return ", ".join(short) + more if names else "nothing"
