"""yamltext: YAML that anybody may have written, loaded within limits.

A few lines of aliases of aliases stand for billions of values, and a hundred thousand brackets
overflow the stack of the C parser, which ends the process. The events of the same parser are flat.
"""

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

DEEPEST = 64  # nested collections; a spec has fewer than ten
MOST_VALUES = 200_000  # aliases expanded; a spec of 1,000 artifacts has fewer than 100,000
STEEP = re.compile(rf"^[ ?:-]{{{2 * DEEPEST}}}", re.MULTILINE)  # block collections nested that deep


class Unbounded(ValueError):
    """A text is beyond a limit."""


def load(text: str) -> Any:
    """The values of a text. Raises Unbounded, or as ruamel does."""
    if may_be_unbounded(text):
        require_bounded(text)
    return YAML(typ="safe").load(text)


def may_be_unbounded(text: str) -> bool:
    """Is a look at its events needed? Not for what DVC writes: to take it doubles the time."""
    return "&" in text or text.count("[") + text.count("{") > DEEPEST or bool(STEEP.search(text))


def require_bounded(text: str) -> None:
    """Raises Unbounded, or what the parser raises."""
    sizes: dict[str, int] = {}  # of the value with an anchor
    opened: list[tuple[str | None, int]] = [(None, 0)]  # collections: anchor, values so far
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionStartEvent):
            opened.append((event.anchor, 1))
            if len(opened) > DEEPEST + 1:
                raise Unbounded(f"it is nested more than {DEEPEST} levels deep")
            continue
        if isinstance(event, CollectionEndEvent):
            anchor, size = opened.pop()
        elif isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise Unbounded(
                    f"*{event.anchor} is inside of what it refers to, or refers to nothing"
                )
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor:
            sizes[anchor] = size
        around, count = opened.pop()
        opened.append((around, count + size))
        if count + size > MOST_VALUES:
            raise Unbounded(f"its aliases stand for more than {MOST_VALUES:,} values")
