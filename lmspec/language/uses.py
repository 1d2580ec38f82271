"""uses: which fields of params.yaml refer to which block, and what differs between two of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmspec.specs import blocks
from lmspec.specs.disagreement import Steps

Values = Mapping[str, Any]


def places(params: Values) -> Iterator[tuple[Steps, str]]:
    """(path of a field, name of the block that it refers to), fields of blocks among them."""
    known = blocks.of(params)

    def within(value: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield from within(item, (*steps, key))
        elif (name := blocks.named(value, known)) is not None:
            yield steps, name

    for section, value in params.items() if known else ():
        if section == blocks.SECTION or (isinstance(section, str) and blocks.takes(section)):
            yield from within(value, (section,))


def field(params: Values, name: str) -> Steps | None:
    """The first field of an artifact that a block is the value of; None if there is none."""
    known = list(places(params))
    paths: list[tuple[Steps, str]] = [((), name)]  # (fields below that block, block)
    for below, block in paths:
        for steps, used in known:
            if used == block and steps[0] != blocks.SECTION:
                return (*steps, *below)
            if used == block and steps[1] not in {each for _, each in paths}:
                paths.append(((*steps[2:], *below), str(steps[1])))
    return None


def block_of(path: str) -> str:
    """The name of the block that a path is in, as of `blocks.adamw.beta1`; empty if in none."""
    name = path.removeprefix(blocks.PREFIX).partition(".")[0]
    return name if path.startswith(blocks.PREFIX) else ""


def artifacts(params: Values, name: str) -> tuple[str, ...]:
    """The artifacts that use a block, directly or through other blocks."""
    known = blocks.of(params)
    return tuple(
        f"{noun}.{own}"
        for noun, section in params.items()
        if blocks.takes(noun) and isinstance(section, dict)
        for own, spec in section.items()
        if name in blocks.used(spec, known)
    )


def nested(parameters: Values) -> Values:
    """Parameters by name, as a stage watches them, as sections of params.yaml."""
    sections: dict[str, Any] = {}
    for name, value in parameters.items():
        section, _, own = name.partition(".")
        if own:
            sections.setdefault(section, {})[own] = value
        else:
            sections[section] = value
    return sections


def compared(old: Values, new: Values) -> tuple[Values, Values]:
    """Two versions of params.yaml, as their values are compared.

    Each reference is replaced by its block, except where both have the same reference: then what
    differs in the block appears once, as of the block. So a value that moved into a block is no
    difference. Blocks that one of them alone has are left out: their values are in place.
    """
    if blocks.SECTION not in old and blocks.SECTION not in new:
        return old, new
    named = blocks.of(old), blocks.of(new)
    written, full = [], []
    for params, own, others in ((old, *named), (new, *reversed(named))):
        shared = {name: block for name, block in own.items() if name in others}
        written.append({**params, blocks.SECTION: shared})
        taking = {n: v for n, v in written[-1].items() if n == blocks.SECTION or blocks.takes(n)}
        full.append({**params, **blocks.resolved(taking, own)})

    def pair(written: Sequence[Any], full: Sequence[Any]) -> tuple[Any, Any]:
        name = blocks.named(written[0], named[0])
        if name is not None and name == blocks.named(written[1], named[1]):
            return written[0], written[1]
        for kind in (dict, list):
            if all(isinstance(value, kind) for value in written):
                keys = [dict(enumerate(v)) if kind is list else v for v in (*written, *full)]
                one, other = dict(keys[2]), dict(keys[3])
                for key in one.keys() & other.keys():
                    values = [value[key] for value in keys]
                    one[key], other[key] = pair(values[:2], values[2:])
                return (one, other) if kind is dict else ([*one.values()], [*other.values()])
        return full[0], full[1]

    return pair(written, full)
