"""errors: the one error a user sees: the place, what was found, the rule, the next step."""

from collections.abc import Sequence


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


def some(names: Sequence[str]) -> str:
    """The first eight names, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "nothing"
