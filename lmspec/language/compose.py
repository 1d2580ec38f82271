"""compose: parser events put together to values with their places, as DVC's reader would.

ruamel's round-trip loader knows places too, but takes 50 ms for this repository's params.yaml where
this takes 6, and it lacks the ends of scalars and the places of aliases (docs/log.md).
"""

from dataclasses import dataclass, field
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

from lmspec.language.problems import Problem, Span, printable

DEEPEST = 64  # nested collections; a spec has fewer than ten
MOST_VALUES = 200_000  # aliases expanded; a spec of 1,000 artifacts has fewer than 100,000
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
MERGE = object()  # the key `<<`
QUOTE = "put it in quotes if it is text"


@dataclass(slots=True)
class Node:
    """A value and its place; of a mapping, also the places of its keys.

    size    number of values in it, aliases expanded
    alias   it is an alias of a value elsewhere
    merged  keys that come from a merged mapping -> where that is named
    """

    span: Span
    value: Any
    entries: dict[Any, tuple[Span, "Node"]] | list["Node"] | None = None
    size: int = 1
    alias: bool = False
    merged: dict[Any, Span] = field(default_factory=dict)


class Unreadable(Exception):
    """Raised where nothing behind a place can be read."""

    def __init__(self, span: Span, found: str, hint: str) -> None:
        super().__init__(found)
        self.problem = Problem("yaml", span, "YAML", found, hint)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read."""

    node: Node
    anchor: str | None
    key: Any = None
    key_span: Span | None = None
    merge_span: Span | None = None
    merged: list[Node] = field(default_factory=list)


class Composer:
    """Puts events together without recursion, so that no nesting can exhaust the stack."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._named: dict[str, Span] = {}
        self._count = 0
        self._known: dict[str, tuple[Any, bool]] = {}
        self._yaml = YAML(typ="safe")

    def take(self, event: Event) -> None:
        """The next event of the parser. Raises Unreadable if nothing behind it can be read."""
        span = _span(event)
        if isinstance(event, AliasEvent):
            self._add(self._aliased(event.anchor, span))
        elif isinstance(event, NodeEvent):
            self._weigh(1, span)
            self._name(event.anchor, span)
            if isinstance(event, ScalarEvent):
                self._take_scalar(event, span)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._begin(event, span)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._close()
        elif isinstance(event, DocumentStartEvent):
            if self.root is not None:
                hint = "params.yaml is one document: remove the `---`"
                raise Unreadable(span, "a second document begins", hint)
            if event.version and tuple(event.version) != (1, 2):
                version = ".".join(map(str, event.version))
                found = f"it declares YAML {version}, but is read as YAML 1.2"
                raise Unreadable(span, found, "remove the line")

    def _take_scalar(self, event: ScalarEvent, span: Span) -> None:
        value, merge = self._scalar(event, span)
        if merge and (event.anchor or not self._is_at_key()):
            found = "`<<` is the key that merges a mapping, and nothing else"
            raise Unreadable(span, found, "put it in quotes")
        node = Node(span, value)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node, merge)

    def _begin(self, event: MappingStartEvent | SequenceStartEvent, span: Span) -> None:
        """Open a collection."""
        is_mapping = isinstance(event, MappingStartEvent)
        tag = _tag(event)
        if tag and tag != f"{TAG}{'map' if is_mapping else 'seq'}":
            raise _meaningless(tag, span)
        if len(self._open) >= DEEPEST:
            found = f"it is nested more than {DEEPEST} levels deep"
            raise Unreadable(span, found, "a spec is a few levels deep")
        node = Node(span, None, {} if is_mapping else [])
        self._open.append(_Open(node, event.anchor))

    def _is_at_key(self) -> bool:
        top = self._open[-1] if self._open else None
        return top is not None and isinstance(top.node.entries, dict) and top.key_span is None

    def _aliased(self, anchor: str, span: Span) -> Node:
        if any(collection.anchor == anchor for collection in self._open):
            raise Unreadable(span, f"*{anchor} is inside of what it refers to", "write it out")
        if anchor not in self._anchors:
            hint = "put text that begins with * in quotes"
            raise Unreadable(span, f"there is no anchor &{anchor} before it", hint)
        node = self._anchors[anchor]
        self._weigh(node.size, span)
        return Node(span, node.value, node.entries, node.size, alias=True, merged=node.merged)

    def _name(self, anchor: str | None, span: Span) -> None:
        if anchor and (first := self._named.setdefault(anchor, span)) != span:
            hint = f"rename it: the first is in line {first.line}"
            raise Unreadable(span, f"there is another anchor &{anchor}", hint)

    def _weigh(self, values: int, span: Span) -> None:
        """Count values, aliases expanded: ten lines of aliases of aliases can be billions."""
        self._count += values
        if self._count > MOST_VALUES:
            found = f"up to here it has more than {MOST_VALUES:,} values, aliases expanded"
            raise Unreadable(span, found, "data belong in files of their own")

    def _close(self) -> None:
        done = self._open.pop()
        node, entries = done.node, done.node.entries
        if isinstance(entries, dict):
            for source in done.merged:
                assert isinstance(source.entries, dict)
                for key, entry in source.entries.items():
                    if key not in entries:
                        entries[key] = entry
                        node.merged[key] = source.span
            node.value = {key: value.value for key, (_, value) in entries.items()}
            node.size += len(entries) + sum(value.size for _, value in entries.values())
        elif isinstance(entries, list):
            node.value = [item.value for item in entries]
            node.size += sum(item.size for item in entries)
        if done.anchor:
            self._anchors[done.anchor] = node
        self._add(node)

    def _add(self, node: Node, merge: bool = False) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if isinstance(top.node.entries, list):
            top.node.entries.append(node)
        elif top.key_span is None:
            self._key(top, node, merge)
        else:
            self._entry(top, node, top.key_span)

    def _key(self, top: _Open, node: Node, merge: bool) -> None:
        if merge and top.merge_span:
            self._duplicate("<<", node.span, "write `<<: [*a, *b]`", top.merge_span)
        if merge:
            top.merge_span = top.merge_span or node.span
        if node.entries is not None:
            hint = "put text that begins with [ or { in quotes"
            raise Unreadable(node.span, "a list or mapping cannot be a key", hint)
        top.key, top.key_span = (MERGE if merge else node.value), node.span

    def _entry(self, top: _Open, node: Node, span: Span) -> None:
        key, top.key_span = top.key, None
        entries = top.node.entries
        assert isinstance(entries, dict)
        if key is MERGE:
            sources = node.entries if isinstance(node.entries, list) else [node]
            if not all(isinstance(source.entries, dict) for source in sources):
                found = "`<<` takes a mapping or a list of mappings"
                raise Unreadable(node.span, found, "such as `<<: *anchor`")
            top.merged += sources
        elif key in entries:
            self._duplicate(printable(str(key))[:60], span, "remove one", entries[key][0])
        else:
            entries[key] = (span, node)

    def _duplicate(self, key: str, span: Span, hint: str, first: Span) -> None:
        found, others = f"this mapping has the key '{key}' twice", ((first, "the first"),)
        self.problems.append(Problem("duplicate-key", span, "YAML", found, hint, others))

    def _scalar(self, event: ScalarEvent, span: Span) -> tuple[Any, bool]:
        """(value, whether it is the key `<<` that merges)."""
        text, tag = event.value, _tag(event)
        plain = not tag and event.implicit[0] and (not text or text[0] in NOT_TEXT)
        if plain:
            if text not in self._known:
                tag = self._yaml.resolver.resolve(ScalarNode, text, (True, False))
                self._known[text] = self._resolved(text, tag, span)
            return self._known[text]
        if not tag or tag == f"{TAG}str":
            return text, False
        if tag.removeprefix(TAG) not in ("int", "float", "bool", "null"):
            raise _meaningless(tag, span)
        return self._resolved(text, tag, span)

    def _resolved(self, text: str, tag: Any, span: Span) -> tuple[Any, bool]:
        kind = str(tag).removeprefix(TAG)
        if kind in ("str", "merge"):
            return text, kind == "merge"
        if kind == "int" and len(text) > MOST_DIGITS:
            raise Unreadable(span, f"it is a number of more than {MOST_DIGITS:,} digits", QUOTE)
        constructor = self._yaml.constructor
        try:
            construct = constructor.yaml_constructors[f"{TAG}{kind}"]
            return construct(constructor, ScalarNode(tag, text)), False
        except Exception:  # ruamel and Python raise half a dozen unrelated types
            raise Unreadable(span, f"it cannot be read as {KINDS.get(kind, kind)}", QUOTE) from None


def _tag(event: NodeEvent) -> str:
    """An explicit tag, such as `!!str`; empty if there is none."""
    return str(getattr(event, "ctag", None) or "")


def _meaningless(tag: str, span: Span) -> Unreadable:
    written = printable(tag.replace(TAG, "!!", 1))[:60]
    return Unreadable(span, f"the tag {written} has no meaning here", "remove it")


def _span(event: Event) -> Span:
    start, end = event.start_mark, event.end_mark
    one_line = isinstance(event, ScalarEvent | AliasEvent) and start.line == end.line
    width = max(1, end.column - start.column) if one_line else 1
    return Span(start.line + 1, start.column + 1, width)
