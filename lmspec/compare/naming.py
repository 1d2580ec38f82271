"""naming: which artifact of the new spec is which of the old one: by name, or, renamed, by having the same fields."""

from collections.abc import Mapping
from typing import Any


def renamed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """New name -> old name of each artifact that has another name and the same fields, what it refers to being renamed alike.

    Where several could be meant, none is.
    """
    found: dict[str, str] = {}
    while True:
        gone = {
            name: _freeze(spec)
            for name, spec in old.items()
            if name not in new and name not in found.values()
        }
        come = {
            name: _freeze(translated(spec, found))
            for name, spec in new.items()
            if name not in old and name not in found
        }
        more = {}
        for name, spec in come.items():
            noun = name.partition(".")[0]
            alike = [
                other
                for other, fields in gone.items()
                if fields == spec and other.partition(".")[0] == noun
            ]
            rivals = [
                other
                for other, fields in come.items()
                if fields == spec and other.partition(".")[0] == noun
            ]
            if len(alike) == 1 and len(rivals) == 1:
                more[name] = alike[0]
        if not more:
            return found
        found |= more


def translated(value: Any, names: Mapping[str, str]) -> Any:
    """With the old names of what was renamed."""
    if isinstance(value, dict):
        return {key: translated(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [translated(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _freeze(value: Any) -> Any:
    """Equal only if of the same type too: 1, 1.0 and true are three values."""
    if isinstance(value, dict):
        return tuple((key, _freeze(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(_freeze(item) for item in value)
    return type(value).__name__, value
