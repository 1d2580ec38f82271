"""examples: the part of examples.yaml that shows what a path means."""

import functools
from collections.abc import Iterator
from pathlib import Path

from lmspec.language import document as documents
from lmspec.language import schema as schemas
from lmspec.language.compose import Node
from lmspec.language.document import Document
from lmspec.language.problems import Span

PATH = Path(__file__).parent / "examples.yaml"


@functools.cache
def load() -> Document:
    """A spec with every noun, every kind and every field; a test keeps it so."""
    return documents.read(PATH)


def lines(steps: tuple[str, ...]) -> list[str]:
    """The first part of the example that a path leads to, with its key; of a noun without kinds, its first artifact.

    What the noun of the path shows in another kind is taken from another noun: `training` is the same in each. What no example
    of that kind shows is taken from another kind: every gate may have a waiver.

    steps  as `explain.Meaning` has them
    """
    sections = load().root.entries
    assert isinstance(sections, dict)
    noun, *rest = steps
    artifacts = schemas.entries(schemas.sections()[noun])
    if not rest and (artifacts is None or schemas.kinds(artifacts)):
        return _lines(*sections[noun])
    places = [(name, strict) for strict in (True, False) for name in (noun, *sections)]
    found = next(
        part
        for name, strict in places
        for part in _within(name, sections[name], tuple(rest), strict)
    )
    return _lines(*found) if rest else [f"{noun}:", *(f"  {line}" for line in _lines(*found))]


def _within(
    noun: str, section: tuple[Span, Node], steps: tuple[str, ...], strict: bool
) -> Iterator[tuple[Span, Node]]:
    """All that a path leads to below a section: in each of its artifacts, if it has some."""
    if schemas.entries(schemas.sections()[noun]) is None:
        yield from _reached(*section, steps, strict)
    elif isinstance(section[1].entries, dict):
        for key, artifact in section[1].entries.values():
            yield from _reached(key, artifact, steps, strict)


def _reached(
    key: Span, node: Node, steps: tuple[str, ...], strict: bool, chosen: bool = False
) -> Iterator[tuple[Span, Node]]:
    """(place of the key, value) of all that a path leads to; strict: in that kind alone; chosen: the path has told the kind."""
    if not steps:
        yield key, node
    elif isinstance(node.entries, list):
        for item in node.entries:
            yield from _reached(key, item, steps, strict)
    elif node.entries and "kind" in node.entries and not chosen:
        if node.value["kind"] == steps[0] or not strict:
            yield from _reached(key, node, steps[1:], strict, chosen=True)
    elif node.entries and steps[0] in node.entries:
        yield from _reached(*node.entries[steps[0]], steps[1:], strict)


def _lines(key: Span, node: Node) -> list[str]:
    """A key and its value, as they are written."""
    first, column = load().lines[key.line - 1], key.column - 1
    if first[:column].strip(" -"):  # inside of braces
        return [f"{_text(key)}: {_flow(node)}"]
    taken = [first[column:]]
    for line in load().lines[key.line :]:
        if line.strip() and len(line) - len(line.lstrip()) <= column:
            break
        taken.append(line[column:])
    while not taken[-1].strip():
        taken.pop()
    return taken


def _flow(node: Node) -> str:
    if isinstance(node.entries, list):
        return f"[{', '.join(map(_flow, node.entries))}]"
    if node.entries is not None:
        return f"{{{', '.join(f'{_text(key)}: {_flow(value)}' for key, value in node.entries.values())}}}"
    return _text(node.span)


def _text(span: Span) -> str:
    return load().lines[span.line - 1][span.column - 1 :][: span.width]
