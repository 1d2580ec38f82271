"""difference: two nested values side by side, leaf by leaf."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lmspec.run import declaration

WIDEST = 60  # characters of a value


class Missing:
    """A leaf that only the other value has: not the same as null."""

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
        """Does a spec see two different values? 0 and 0.0 are the same."""
        return not declaration.same(self.old, self.new)


def rows(old: Any, new: Any, name: str = "") -> Iterator[Row]:
    """A row for each leaf of either value, in the order of the old one, then of the new."""
    values = old, new
    for kind in (dict, list):
        if not any(isinstance(value, kind) for value in values):
            continue
        if not all(isinstance(value, dict | list) for value in values):
            # a section that became a single value, or the reverse: that value is a row of its own
            leaves = [MISSING if isinstance(value, dict | list) else value for value in values]
            if leaves != [MISSING, MISSING]:
                yield Row(name, *leaves)
        before, after = (_children(value, kind) for value in values)
        for key in dict.fromkeys([*before, *after]):
            child = f"{name}[{key}]" if kind is list else f"{name}.{key}" if name else str(key)
            yield from rows(before.get(key, MISSING), after.get(key, MISSING), child)
        return
    yield Row(name, old, new)


def described(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """`name: old -> new` of each leaf that differs, digests and long values cut."""
    for row in rows(old, new, name):
        if row.differs:
            yield f"{row.name}: {short(row.old)} -> {short(row.new)}"


def short(value: Any) -> str:
    """A value in words; of a digest the first digits."""
    text = "none" if value is None else str(value)
    if len(text) == 64 and " " not in text:
        return text[:12]
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _children(value: Any, kind: type) -> dict[Any, Any]:
    children: Any = value if isinstance(value, kind) else kind()
    return dict(enumerate(children) if kind is list else children)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
