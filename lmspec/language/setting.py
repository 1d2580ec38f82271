"""setting: change values of params.yaml in place: its comments, order and layout stay."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.language import document as documents
from lmspec.language import uses, validate
from lmspec.language.compose import Node
from lmspec.language.document import Document
from lmspec.language.problems import BREAK, ProblemsFound, Span, clipped, dotted
from lmspec.language.suggest import did_you_mean, nearest
from lmspec.language.validate import Validation
from lmspec.methods import folders
from lmspec.run import declaration
from lmspec.specs import blocks
from lmspec.specs.disagreement import Steps

COMMAND = "lmspec set"


@dataclass(frozen=True)
class Setting:
    """One value, changed.

    line        of params.yaml
    before      the text of the value, and of the new one
    used_by     artifacts that it reaches, if it is in a block
    """

    path: str
    line: int
    before: str
    after: str
    used_by: tuple[str, ...]


def applied(path: Path, wanted: Sequence[str]) -> tuple[str, list[Setting], Validation]:
    """(the text of a params.yaml after all changes, each change, what is wrong with the result).

    Raises as `changed` does.
    """
    text, settings = documents.text_of(path), []
    for each in wanted:
        text, setting = changed(text, path, each)
        settings.append(setting)
    return text, settings, validate.of_document(documents.parsed(text, path))


def write(path: Path, text: str) -> None:
    """Replace a params.yaml as a whole; its mode and a byte-order mark stay."""
    mode, mark = path.stat().st_mode, "\ufeff" if path.read_bytes()[:3] == b"\xef\xbb\xbf" else ""
    folders.write(path, mark + text)
    path.chmod(mode)


def changed(text: str, path: Path, wanted: str) -> tuple[str, Setting]:
    """(the text of params.yaml with another value, what changed).

    wanted  `noun.name.field=value`; the value is YAML on one line
    Raises LmspecError if there is no such value, or it cannot be replaced in place; ProblemsFound
    if the file is not YAML.
    """
    name, equals, value = wanted.partition("=")
    if not equals:
        remedy = "write PATH=VALUE, such as model.cnn.training.epochs=3"
        raise LmspecError(f"{COMMAND} {wanted}", "it has no `=`", remedy)
    read = documents.parsed(text, path)
    place = f"{COMMAND} {name}"
    steps, node = _found(read, name, place)
    new = _value(value.strip(), path, place)
    span = read.place(steps, key=True)
    users = (
        uses.artifacts(read.values, str(steps[1]))
        if steps[0] == blocks.SECTION and steps[1:]
        else ()
    )
    start, end = _extent(read, node, text, place)
    before = clipped(" ".join(text[start:end].split()))
    breaks = BREAK.search(text)
    for form in _forms(value.strip(), new, breaks[0] if breaks else "\n"):
        edited = text[:start] + form + text[end:]
        if _holds(edited, read, steps, new):
            return edited, Setting(dotted(steps), span.line, before, clipped(form.strip()), users)
    raise LmspecError(
        place, "the new value cannot be written in place", f"edit line {span.line} by hand"
    )


def _found(read: Document, name: str, place: str) -> tuple[Steps, Node]:
    """The path of a value, and the value. A key may hold dots: the longest that fits is taken."""
    steps: list[str | int] = []
    node, rest = read.root, name.replace("[", ".[")
    while rest:
        _require_own(read, tuple(steps), node, rest, place)
        keys = _keys(node)
        fits = [key for key in keys if rest == key or rest.startswith(f"{key}.")]
        if not fits:
            missing, _, _ = rest.partition(".")
            at = dotted(steps) if steps else "params.yaml"
            hint = did_you_mean(nearest(missing, keys)) or (
                f"it has {some(list(keys))}" if keys else "it is a value, without fields"
            )
            raise LmspecError(place, f"{at} has no '{missing}'", hint)
        key = max(fits, key=len)
        step, node = keys[key]
        steps.append(step)
        rest = rest.removeprefix(key).removeprefix(".")
    if not steps:
        raise LmspecError(place, "it names no value", "write PATH=VALUE")
    if node.alias or any(step in parent.merged for parent, step in _parents(read, steps)):
        found = "it is an alias of a value that is written elsewhere"
        raise LmspecError(place, found, "edit params.yaml by hand, or write the value out")
    return tuple(steps), node


def _require_own(read: Document, steps: Steps, node: Node, rest: str, place: str) -> None:
    """Raises LmspecError if what follows is in a block, or behind an alias."""
    if node.alias:
        found = f"{dotted(steps)} is an alias of a value that is written elsewhere"
        raise LmspecError(place, found, "edit params.yaml by hand, or write the value out")
    block = blocks.named(node.value, blocks.of(read.values)) if steps else None
    if block is not None:
        line = read.place((blocks.SECTION, block), key=True).line
        users = [dotted(at) for at, name in uses.places(read.values) if name == block]
        others = some([user for user in users if user != dotted(steps)])
        too = f", which {others} {'name' if len(users) > 2 else 'names'} too" if users[1:] else ""
        raise LmspecError(
            place,
            f"{dotted(steps)} is {blocks.PREFIX}{block} (line {line}){too}",
            f"`{COMMAND} {blocks.PREFIX}{block}.{rest}=...` changes it{' for all' if too else ''}",
        )


def _keys(node: Node) -> dict[str, tuple[str | int, Node]]:
    """Key or `[index]` as it is written in a path -> (step, value)."""
    if isinstance(node.entries, list):
        return {f"[{i}]": (i, item) for i, item in enumerate(node.entries)}
    return {str(key): (key, value) for key, (_, value) in (node.entries or {}).items()}


def _parents(read: Document, steps: Sequence[str | int]) -> list[tuple[Node, str | int]]:
    node, pairs = read.root, []
    for step in steps:
        pairs.append((node, step))
        entry: Any = (node.entries or {})[step]  # type: ignore[index]
        node = entry[1] if isinstance(entry, tuple) else entry
    return pairs


def _value(text: str, path: Path, place: str) -> Any:
    """The value of a text. Raises LmspecError if it is not YAML on one line."""
    if not text:
        raise LmspecError(place, "no value follows the `=`", "write null for none, '' for no text")
    try:
        if BREAK.search(text):
            raise LmspecError(place, "the value has several lines", "edit params.yaml by hand")
        return documents.parsed(f"value: {text}\n", path).values["value"]
    except ProblemsFound as error:
        remedy = "quote it for YAML and for the shell: 'PATH=\"a: b\"'"
        found = f"the value cannot be read: {error.problems[0].found}"
        raise LmspecError(place, found, remedy) from None


def _extent(read: Document, node: Node, text: str, place: str) -> tuple[int, int]:
    """Where a value begins and ends in the text. Raises LmspecError if it holds comments."""
    starts = [0, *(match.end() for match in BREAK.finditer(text))]

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + column - 1

    def end(node: Node) -> int:
        if node.end is not None:
            return offset(*node.end)
        nodes = node.entries if isinstance(node.entries, list) else _values(node)
        return max([offset(*node.span[:2]), *(end(item) for item in nodes)])

    start, stop = offset(*node.span[:2]), end(node)
    if node.end is None:  # a block, which begins below its key
        start = len(text[:start].rstrip())
    kept = bytearray(text[start:stop].encode("utf-32-le"))
    for span in _scalars(node):
        at = 4 * (offset(*span[:2]) - start)
        kept[at : at + 4 * span.width] = bytes(4 * span.width)
    if "#" in kept.decode("utf-32-le") and not isinstance(node.value, str):
        found = f"its value holds comments, from line {node.span.line} on"
        raise LmspecError(place, found, "edit params.yaml by hand, and move them")
    return start, stop


def _values(node: Node) -> list[Node]:
    assert not isinstance(node.entries, list)
    return [value for _, value in (node.entries or {}).values()]


def _scalars(node: Node) -> list[Span]:
    """Places of all keys and single values of a value."""
    if isinstance(node.entries, list):
        return [span for item in node.entries for span in _scalars(item)]
    if node.entries is None:
        return [node.span]
    return [span for key, value in node.entries.values() for span in (key, *_scalars(value))]


def _forms(text: str, value: Any, line_end: str) -> list[str]:
    """How a value may be written: as it was given, or as JSON, which is YAML everywhere."""
    quoted = json.dumps(value, ensure_ascii=False, default=str)
    plain = [text] if "#" not in text else []
    return [
        f"{start}{own}{end}"
        for start in ("", " ")
        for own in (*plain, quoted)
        for end in ("", line_end)
    ]


def _holds(text: str, before: Document, steps: Steps, value: Any) -> bool:
    """Does a text hold that value at the path, and everything else as before?"""
    expected = copy.deepcopy(before.values)
    owner: Any = expected
    for step in steps[:-1]:
        owner = owner[step]
    owner[steps[-1]] = value
    try:
        return declaration.same(documents.parsed(text, before.path).values, expected)
    except ProblemsFound:
        return False
