"""compose: parser events put together to values with their places, as DVC's reader would.

ruamel's round-trip loader knows places too, but takes 50 ms for this repository's params.yaml where
this takes 6, and it lacks the ends of scalars and the places of aliases (docs/log.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from lmspec.formats.yamltext import DEEPEST, MOST_VALUES
from lmspec.language.problems import Problem, Span, printable

MOST_DIGITS = 1000  # Python refuses to print a number of more than 4,300
TAG = "tag:yaml.org,2002:"
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "timestamp": "a date",
}
NOT_TEXT = frozenset("+-.0123456789<=~nNtTfFyYoO")  # a plain scalar with another start is text
KNOWN_TAGS = {
    MappingStartEvent: ("map",),
    SequenceStartEvent: ("seq",),
    ScalarEvent: ("str", "int", "float", "bool", "null"),
}
MERGE = object()  # the value of the key `<<`
QUOTE = "put it in quotes if it is text"


@dataclass(slots=True)
class Node:
    """A value and its place; of a mapping, also the places of its keys.

    size    number of values in it, aliases expanded; 0 until its end is read
    end     line and column, from 1, behind a single value or a collection in brackets
    alias   it is an alias of a value elsewhere
    merged  keys that come from a merged mapping -> where that is named
    """

    span: Span
    value: Any = None
    entries: dict[Any, tuple[Span, "Node"]] | list["Node"] | None = None
    size: int = 0
    end: tuple[int, int] | None = None
    alias: bool = False
    merged: dict[Any, Span] = field(default_factory=dict)


class Unreadable(Exception):
    """Raised where nothing behind a place can be read. args: the place, what is there, a hint."""


class Composer:
    """Puts the events of a parser together."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.problems: list[Problem] = []
        self._events = iter(events)
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._known: dict[str, Any] = {}
        self._yaml = YAML(typ="safe")

    def document(self) -> Node | None:
        """The value of the document; None if it is empty.

        Raises Unreadable, or what the parser raises, if nothing behind a place can be read.
        """
        root = None
        for event in self._events:
            if isinstance(event, NodeEvent):
                root = self._node(event)
            elif isinstance(event, DocumentStartEvent):
                span = _span(event)
                if root is not None:
                    hint = "params.yaml is one document: remove the `---`"
                    raise Unreadable(span, "a second document begins", hint)
                if event.version and tuple(event.version) != (1, 2):
                    version = ".".join(map(str, event.version))
                    found = f"it declares YAML {version}, but is read as YAML 1.2"
                    raise Unreadable(span, found, "remove the line")
        return root

    def _node(self, event: Any, depth: int = 0, is_key: bool = False) -> Node:
        """The value that begins with an event. depth: collections around it."""
        node = Node(_span(event))
        if isinstance(event, AliasEvent):
            return self._aliased(event.anchor, node.span)
        self._weigh(1, node.span)
        if event.anchor and (first := self._anchors.setdefault(event.anchor, node)) is not node:
            hint = f"rename it: the first is in line {first.span.line}"
            raise Unreadable(node.span, f"there is another anchor &{event.anchor}", hint)
        tag = str(event.ctag or "")
        if tag and tag.removeprefix(TAG) not in KNOWN_TAGS[type(event)]:
            written = printable(tag.replace(TAG, "!!", 1))[:60]
            raise Unreadable(node.span, f"the tag {written} has no meaning here", "remove it")
        if isinstance(event, ScalarEvent):
            node.value, node.size = self._scalar(event, tag, node.span), 1
            node.end = _end(event)
            if node.value is MERGE and (event.anchor or not is_key):
                found = "`<<` is the key that merges a mapping, and nothing else"
                raise Unreadable(node.span, found, "put it in quotes")
            return node
        if depth >= DEEPEST:  # this bounds the recursion
            found = f"it is nested more than {DEEPEST} levels deep"
            raise Unreadable(node.span, found, "a spec is a few levels deep")
        is_mapping = isinstance(event, MappingStartEvent)
        last = (self._mapping if is_mapping else self._list)(node, depth + 1)
        node.end = _end(last) if event.flow_style else None
        return node

    def _aliased(self, anchor: str, span: Span) -> Node:
        if anchor not in self._anchors:
            hint = "put text that begins with * in quotes"
            raise Unreadable(span, f"there is no anchor &{anchor} before it", hint)
        node = self._anchors[anchor]
        if not node.size:
            raise Unreadable(span, f"*{anchor} is inside of what it refers to", "write it out")
        self._weigh(node.size, span)
        return replace(node, span=span, alias=True)

    def _weigh(self, values: int, span: Span) -> None:
        """Count values, aliases expanded: ten lines of aliases of aliases can be billions."""
        self._count += values
        if self._count > MOST_VALUES:
            found = f"up to here it has more than {MOST_VALUES:,} values, aliases expanded"
            raise Unreadable(span, found, "data belong in files of their own")

    def _list(self, node: Node, depth: int) -> Event:
        """Read the items of a list. Returns its last event."""
        items: list[Node] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, depth))
        node.entries, node.value = items, [item.value for item in items]
        node.size = 1 + sum(item.size for item in items)
        return event

    def _mapping(self, node: Node, depth: int) -> Event:
        """Read the entries of a mapping. Returns its last event."""
        entries: dict[Any, tuple[Span, Node]] = {}
        merge: Node | None = None  # the first key `<<`
        sources: list[Node] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, depth, is_key=True)
            if key.entries is not None:
                hint = "put text that begins with [ or { in quotes"
                raise Unreadable(key.span, "a list or mapping cannot be a key", hint)
            if key.value is MERGE:
                if merge:
                    self._duplicate("<<", key.span, "write `<<: [*a, *b]`", merge.span)
                merge = merge or key
            value = self._node(next(self._events), depth)
            if key.value is MERGE:
                sources += value.entries if isinstance(value.entries, list) else [value]
                if not all(isinstance(source.entries, dict) for source in sources):
                    found = "`<<` takes a mapping or a list of mappings"
                    raise Unreadable(value.span, found, "such as `<<: *anchor`")
            elif key.value in entries:
                name = printable(str(key.value))[:60]
                self._duplicate(name, key.span, "remove one", entries[key.value][0])
            else:
                entries[key.value] = key.span, value
        for source in sources:
            assert isinstance(source.entries, dict)
            for name, entry in source.entries.items():
                if entries.setdefault(name, entry) is entry:
                    node.merged[name] = source.span
        node.entries = entries
        node.value = {name: value.value for name, (_, value) in entries.items()}
        node.size = 1 + len(entries) + sum(value.size for _, value in entries.values())
        return event

    def _duplicate(self, key: str, span: Span, hint: str, first: Span) -> None:
        found, others = f"this mapping has the key '{key}' twice", ((first, "the first"),)
        self.problems.append(Problem("duplicate-key", span, "YAML", found, hint, others))

    def _scalar(self, event: ScalarEvent, tag: str, span: Span) -> Any:
        text = event.value
        if not tag and event.implicit[0] and (not text or text[0] in NOT_TEXT):
            if text not in self._known:
                tag = str(self._yaml.resolver.resolve(ScalarNode, text, (True, False)))
                self._known[text] = self._resolved(text, tag, span)
            return self._known[text]
        if not tag or tag == f"{TAG}str":
            return text
        return self._resolved(text, tag, span)

    def _resolved(self, text: str, tag: str, span: Span) -> Any:
        kind = tag.removeprefix(TAG)
        if kind in ("str", "merge"):
            return text if kind == "str" else MERGE
        if kind == "int" and len(text) > MOST_DIGITS:
            raise Unreadable(span, f"it is a number of more than {MOST_DIGITS:,} digits", QUOTE)
        constructor = self._yaml.constructor
        try:
            return constructor.yaml_constructors[f"{TAG}{kind}"](constructor, ScalarNode(tag, text))
        except Exception:  # ruamel and Python raise half a dozen unrelated types
            raise Unreadable(span, f"it cannot be read as {KINDS.get(kind, kind)}", QUOTE) from None


def _end(event: Event) -> tuple[int, int]:
    return event.end_mark.line + 1, event.end_mark.column + 1


def _span(event: Event) -> Span:
    start, end = event.start_mark, event.end_mark
    one_line = isinstance(event, ScalarEvent | AliasEvent) and start.line == end.line
    width = max(1, end.column - start.column) if one_line else 1
    return Span(start.line + 1, start.column + 1, width)
