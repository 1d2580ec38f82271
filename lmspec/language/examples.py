"""examples: the part of a document, examples.yaml at first, that shows what a path means."""

import functools
from collections.abc import Iterator
from pathlib import Path

from lmspec.language import document as documents
from lmspec.language import schema as schemas
from lmspec.language.compose import Node
from lmspec.language.document import Document
from lmspec.language.problems import Span
from lmspec.language.schema import FieldPath

PATH = Path(__file__).parent / "examples.yaml"
Entry = tuple[Span, Node]  # place of a key, and its value


@functools.cache
def load() -> Document:
    """A spec with every noun, every kind and every field; a test keeps it complete."""
    return documents.read(PATH)


def lines(steps: FieldPath, document: Document | None = None) -> list[str]:
    """The first entry of examples.yaml that a path leads to; of a noun without kinds, an artifact.

    If no artifact of the noun has that field under that kind, one of another noun (`training` is
    the same everywhere) or another kind (every gate may have a waiver) shows it. Else empty.

    steps     as `explain.Meaning` has them
    document  other than examples.yaml
    """
    document = document or load()
    sections = document.root.entries
    assert isinstance(sections, dict)
    noun, *rest = steps
    artifacts = schemas.entries(schemas.sections()[noun])
    if not rest and noun in sections and (artifacts is None or schemas.kinds(artifacts)):
        return _lines(sections[noun], document)
    places = [(name, strict) for strict in (True, False) for name in (noun, *sections)]
    entries = (
        entry
        for name, strict in places
        if name in sections and (rest or name == noun)
        for entry in _within(name, sections[name], tuple(rest), strict)
    )
    entry = next(entries, None)
    if entry is None:
        return []
    shown = _lines(entry, document)
    return shown if rest else [f"{noun}:", *(f"  {line}" for line in shown)]


def _within(noun: str, section: Entry, steps: FieldPath, strict: bool) -> Iterator[Entry]:
    """All that a path leads to below a section: in each of its artifacts, if it has some."""
    if schemas.entries(schemas.sections()[noun]) is None:
        yield from _reached(*section, steps, strict)
    elif isinstance(section[1].entries, dict):
        for key, artifact in section[1].entries.values():
            yield from _reached(key, artifact, steps, strict)


def _reached(
    key: Span, node: Node, steps: FieldPath, strict: bool, chosen: bool = False
) -> Iterator[Entry]:
    """All that a path leads to. strict: of that kind only; chosen: a step named the kind."""
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


def _lines(entry: Entry, document: Document) -> list[str]:
    """A key and its value as they are written, without the indentation."""
    (line, column, _), lines = entry[0], document.lines
    first, indent = lines[line - 1], column - 1
    if first[:indent].strip(" -"):  # inside of braces
        return [f"{_text(entry[0], lines)}: {_flow(entry[1], lines)}"]
    taken = [first[indent:]]
    for later in lines[line:]:
        if later.strip() and len(later) - len(later.lstrip()) <= indent:
            break
        taken.append(later[indent:])
    while not taken[-1].strip():
        taken.pop()
    return taken


def _flow(node: Node, lines: list[str]) -> str:
    if isinstance(node.entries, list):
        return f"[{', '.join(_flow(item, lines) for item in node.entries)}]"
    if node.entries is not None:
        pairs = (
            f"{_text(key, lines)}: {_flow(value, lines)}" for key, value in node.entries.values()
        )
        return f"{{{', '.join(pairs)}}}"
    return _text(node.span, lines)


def _text(span: Span, lines: list[str]) -> str:
    return lines[span.line - 1][span.column - 1 :][: span.width]
