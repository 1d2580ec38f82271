"""blocks: mappings of params.yaml with a name, which fields may state instead of writing them out.

The text `blocks.NAME` stands for the whole block: nothing is merged into it and nothing overrides
it. A text is a reference only if there is such a block, so that a file may be called blocks.csv.
"""

from collections.abc import Mapping
from typing import Any

from lmspec.errors import LmspecError
from lmspec.specs.names import NO_NOUNS

SECTION = "blocks"
PREFIX = f"{SECTION}."
MOST_VALUES = 200_000  # blocks of blocks can stand for billions; 1,000 artifacts have 100,000
Blocks = Mapping[str, Any]  # name -> values


def of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks of a params.yaml; empty if it has no such section, or one that cannot be read."""
    section = params.get(SECTION)
    return section if isinstance(section, dict) else {}


def named(value: Any, blocks: Blocks) -> str | None:
    """The name of the block that a value refers to; None if it is none."""
    if not isinstance(value, str) or not value.startswith(PREFIX):
        return None
    name = value.removeprefix(PREFIX)
    return name if isinstance(blocks.get(name), dict) else None


def used(value: Any, blocks: Blocks) -> tuple[str, ...]:
    """The names of the blocks that a value refers to, directly or through other blocks."""
    names: dict[str, None] = {}

    def visit(value: Any) -> None:
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                visit(item)
        elif (name := named(value, blocks)) is not None and name not in names:
            names[name] = None
            visit(blocks[name])

    visit(value)
    return tuple(names)


def resolved(value: Any, blocks: Blocks) -> Any:
    """A value with each reference replaced by its block; one inside its own block stays as it is.

    Raises LmspecError if that gives too many values.
    """
    left = MOST_VALUES

    def copied(value: Any, inside: tuple[str, ...]) -> Any:
        nonlocal left
        name = named(value, blocks)
        if name is not None and name not in inside:
            return copied(blocks[name], (*inside, name))
        if inside:
            left -= 1
            if left < 0:
                found = f"its blocks stand for more than {MOST_VALUES:,} values"
                raise LmspecError("params.yaml", found, "name fewer blocks inside of blocks")
        if isinstance(value, dict):
            return {key: copied(item, inside) for key, item in value.items()}
        if isinstance(value, list):
            return [copied(item, inside) for item in value]
        return value

    return copied(value, ())


def without(params: Mapping[str, Any]) -> dict[str, Any]:
    """A params.yaml, or parameters of it by name, with every reference resolved and no blocks.

    parameters by name: `blocks.adamw` and `model.cnn`, as a stage watches them
    Raises LmspecError as `resolved` does.
    """
    blocks = of(params) | {
        name.removeprefix(PREFIX): value
        for name, value in params.items()
        if name.startswith(PREFIX)
    }
    rest = {n: v for n, v in params.items() if n != SECTION and not n.startswith(PREFIX)}
    if blocks:
        rest |= resolved({n: v for n, v in rest.items() if takes(n)}, blocks)
    return rest


def takes(name: str) -> bool:
    """Do fields of that section, or of that artifact, take blocks?"""
    return name.partition(".")[0] not in NO_NOUNS
