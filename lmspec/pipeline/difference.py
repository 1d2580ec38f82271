"""difference: two nested values side by side, leaf by leaf."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class Missing:
    """A leaf that one side does not have. It is not the same as null, and never silent."""

    def __repr__(self) -> str:
        return "missing"


MISSING = Missing()


@dataclass(frozen=True)
class Row:
    """name: path of the leaf; old, new: its values, or MISSING."""

    name: str
    old: Any
    new: Any

    @property
    def change(self) -> float | None:
        """new - old, where both are numbers."""
        return self.new - self.old if _number(self.old) and _number(self.new) else None

    @property
    def differs(self) -> bool:
        """1, 1.0 and true are three values."""
        return bool(self.old != self.new) or type(self.old) is not type(self.new)


def rows(old: Any, new: Any, name: str = "") -> Iterator[Row]:
    """A row for each leaf of either side, in the order of the old side, then of the new."""
    nested = [isinstance(side, dict | list) for side in (old, new)]
    if any(nested) and not all(nested):
        # a section that became a single value, or the other way round: that value is a difference of its own
        leaves = [
            MISSING if is_nested else side
            for side, is_nested in zip((old, new), nested, strict=True)
        ]
        if leaves != [MISSING, MISSING]:
            yield Row(name, *leaves)
    if isinstance(old, dict) or isinstance(new, dict):
        before, after = (side if isinstance(side, dict) else {} for side in (old, new))
        for key in dict.fromkeys([*before, *after]):
            yield from rows(
                before.get(key, MISSING),
                after.get(key, MISSING),
                f"{name}.{key}" if name else str(key),
            )
    elif isinstance(old, list) or isinstance(new, list):
        before, after = (
            dict(enumerate(side)) if isinstance(side, list) else {} for side in (old, new)
        )
        for index in dict.fromkeys([*before, *after]):
            yield from rows(
                before.get(index, MISSING), after.get(index, MISSING), f"{name}[{index}]"
            )
    else:
        yield Row(name, old, new)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
