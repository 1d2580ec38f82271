"""nested: a walk through values as YAML has them."""

from collections.abc import Iterable
from typing import Any


def children(value: Any) -> Iterable[tuple[Any, Any]]:
    """(key or index, item) of a mapping or a list; nothing of any other value."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
