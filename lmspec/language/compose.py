"""compose: the events of the YAML parser put together to values with their places, as DVC's reader would, within bounds."""

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

DEEPEST = 64  # collections inside each other: a spec has less than ten
MOST_VALUES = 200_000  # aliases expanded: a spec of 1,000 artifacts has less than 100,000
MOST_DIGITS = 1000  # Python refuses to print a number of more than 4,300
TAG = "tag:yaml.org,2002:"
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "timestamp": "a date",
}
MAY_BE_NO_TEXT = frozenset(
    "+-.0123456789<=~nNtTfFyYoO"
)  # with what else a plain scalar begins, it is a text


@dataclass(slots=True)
class Node:
    """A value and its place; of a mapping, also the places of its keys.

    size    values in it, aliases expanded
    alias   it stands elsewhere, and is named here
    merged  keys that stand elsewhere -> where that is named
    """

    span: Span
    value: Any
    entries: dict[Any, tuple[Span, "Node"]] | list["Node"] | None = None
    size: int = 1
    alias: bool = False
    merged: dict[Any, Span] = field(default_factory=dict)


class Stop(Exception):
    """Raised where nothing behind a place can be read."""

    def __init__(self, span: Span, found: str, hint: str, rule: str = "yaml") -> None:
        super().__init__(found)
        self.problem = Problem(rule, span, "YAML", found, hint)


@dataclass(slots=True)
class _Open:
    """A collection whose end is not read yet."""

    node: Node
    anchor: str | None
    key: Any = None
    key_span: Span | None = None
    merge_span: Span | None = None
    merged: list[Node] = field(default_factory=list)


class Composer:
    """Puts events together without recursion, so that no depth and no alias can exhaust it."""

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
        """The next event of the parser. Raises Stop where nothing behind it can be read."""
        if isinstance(event, NodeEvent):
            self._weigh(1, event)
            self._name(event)
        if isinstance(event, ScalarEvent):
            span = _span(event)
            value, merge = self._scalar(event, span)
            if merge and (event.anchor or not self._at_a_key()):
                raise Stop(
                    span,
                    "`<<` is the key that merges a mapping, and stands for nothing else",
                    "put it into quotes",
                )
            node = Node(span, value)
            if event.anchor:
                self._anchors[event.anchor] = node
            self._add(node, merge)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._refuse_tag(event)
            if len(self._open) >= DEEPEST:
                raise Stop(
                    _span(event),
                    f"it is nested more than {DEEPEST} deep",
                    "a spec is a few levels deep",
                )
            node = (
                Node(_span(event), {}, {})
                if isinstance(event, MappingStartEvent)
                else Node(_span(event), [], [])
            )
            self._open.append(_Open(node, event.anchor))
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._close(event)
        elif isinstance(event, AliasEvent):
            self._add(self._aliased(event))
        elif isinstance(event, DocumentStartEvent):
            self._begin(event)

    def _at_a_key(self) -> bool:
        return (
            bool(self._open)
            and isinstance(self._open[-1].node.value, dict)
            and self._open[-1].key_span is None
        )

    def _begin(self, event: DocumentStartEvent) -> None:
        if self.root is not None:
            raise Stop(
                _span(event),
                "a second document begins",
                "params.yaml is one document: remove the `---`",
            )
        if event.version and tuple(event.version) != (1, 2):
            found = f"it says that it is YAML {'.'.join(map(str, event.version))}, and is read as YAML 1.2"
            raise Stop(_span(event), found, "remove the line")

    def _aliased(self, event: AliasEvent) -> Node:
        span = _span(event)
        if any(o.anchor == event.anchor for o in self._open):
            raise Stop(
                span,
                f"*{event.anchor} stands inside of what it refers to",
                "write out what is meant",
            )
        if event.anchor not in self._anchors:
            raise Stop(
                span,
                f"there is no anchor &{event.anchor} before it",
                "put a text that begins with * into quotes",
            )
        there = self._anchors[event.anchor]
        return Node(span, there.value, there.entries, there.size, alias=True, merged=there.merged)

    def _name(self, event: NodeEvent) -> None:
        if event.anchor and not isinstance(event, AliasEvent):
            span = _span(event)
            first = self._named.setdefault(event.anchor, span)
            if first != span:
                raise Stop(
                    span,
                    f"the anchor &{event.anchor} stands twice",
                    f"rename it: the first is in line {first.line}",
                )

    def _weigh(self, values: int, event: Event) -> None:
        """Count what is read and merged while it is, so that an end is in sight."""
        self._count += values
        if self._count > MOST_VALUES:
            raise Stop(
                _span(event),
                f"up to here it has more than {MOST_VALUES:,} values",
                "data belong in files of their own",
            )

    def _close(self, event: Event) -> None:
        done = self._open.pop()
        entries = done.node.entries
        if isinstance(entries, dict):
            for source in done.merged:
                assert isinstance(source.entries, dict)
                self._weigh(len(source.entries), event)
                for key, entry in source.entries.items():
                    if key not in entries:
                        entries[key] = entry
                        done.node.value[key] = entry[1].value
                        done.node.merged[key] = source.span
            done.node.size = 1 + len(entries) + sum(node.size for _, node in entries.values())
        elif isinstance(entries, list):
            done.node.size = 1 + sum(node.size for node in entries)
        if done.node.size > MOST_VALUES:
            found = f"with its aliases written out it has more than {MOST_VALUES:,} values"
            raise Stop(done.node.span, found, "write out what is meant")
        if done.anchor:
            self._anchors[done.anchor] = done.node
        self._add(done.node)

    def _add(self, node: Node, merge: bool = False) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if isinstance(top.node.entries, list):
            top.node.entries.append(node)
            top.node.value.append(node.value)
        elif top.key_span is None:
            self._key(top, node, merge)
        else:
            self._entry(top, node)

    def _key(self, top: _Open, node: Node, merge: bool) -> None:
        if merge and top.merge_span:
            others = ((top.merge_span, "the first"),)
            found = "the key '<<' stands twice in this mapping"
            self.problems.append(
                Problem("duplicate-key", node.span, "YAML", found, "write `<<: [*a, *b]`", others)
            )
        if merge:
            top.merge_span = top.merge_span or node.span
        if node.entries is not None:
            raise Stop(
                node.span,
                "a list or mapping cannot be a key",
                "put a text that begins with [ or { into quotes",
            )
        top.key, top.key_span = (_MERGE if merge else node.value), node.span

    def _entry(self, top: _Open, node: Node) -> None:
        key, span = top.key, top.key_span
        top.key_span = None
        entries = top.node.entries
        assert isinstance(entries, dict) and span is not None
        if key is _MERGE:
            sources = node.entries if isinstance(node.entries, list) else [node]
            if not all(isinstance(source.entries, dict) for source in sources):
                raise Stop(
                    node.span, "`<<` takes a mapping or a list of mappings", "such as `<<: *anchor`"
                )
            top.merged += sources
        elif key in entries:
            others = ((entries[key][0], "the first"),)
            found = f"the key '{printable(str(key))[:60]}' stands twice in this mapping"
            self.problems.append(
                Problem("duplicate-key", span, "YAML", found, "remove one", others)
            )
        else:
            entries[key] = (span, node)
            top.node.value[key] = node.value

    def _refuse_tag(self, event: NodeEvent) -> None:
        tag = _tag(event)
        if tag and tag != f"{TAG}{'map' if isinstance(event, MappingStartEvent) else 'seq'}":
            raise Stop(_span(event), f"the tag {_said(tag)} has no meaning here", "remove it")

    def _scalar(self, event: ScalarEvent, span: Span) -> tuple[Any, bool]:
        """Its value, and whether it is the key `<<` that merges."""
        text = event.value
        tag = _tag(event)
        if not tag and (not event.implicit[0] or (text and text[0] not in MAY_BE_NO_TEXT)):
            return text, False
        if tag == f"{TAG}str":
            return text, False
        if not tag:
            if text not in self._known:
                self._known[text] = self._resolved(
                    text, self._yaml.resolver.resolve(ScalarNode, text, (True, False)), span
                )
            return self._known[text]
        if tag.removeprefix(TAG) not in ("int", "float", "bool", "null"):
            raise Stop(span, f"the tag {_said(tag)} has no meaning here", "remove it")
        return self._resolved(text, tag, span)

    def _resolved(self, text: str, tag: Any, span: Span) -> tuple[Any, bool]:
        kind = str(tag).removeprefix(TAG)
        if kind == "str":
            return text, False
        if kind == "merge":
            return text, True
        if kind == "int" and len(text) > MOST_DIGITS:
            raise Stop(
                span,
                f"it is a number of more than {MOST_DIGITS:,} digits",
                "put it into quotes if it is a text",
            )
        try:
            constructor = self._yaml.constructor
            return constructor.yaml_constructors[f"{TAG}{kind}"](
                constructor, ScalarNode(tag, text)
            ), False
        except (
            Exception
        ):  # ruamel and Python raise half a dozen unrelated types for a malformed scalar
            raise Stop(
                span,
                f"it cannot be read as {KINDS.get(kind, kind)}",
                "put it into quotes if it is a text",
            ) from None


def _tag(event: NodeEvent) -> str:
    """An explicit tag, such as `!!str`; empty if there is none."""
    return str(getattr(event, "ctag", None) or "")


def _said(tag: str) -> str:
    """A tag as it is written: `!!str`."""
    return printable(tag.replace(TAG, "!!", 1))[:60]


_MERGE = object()


def _span(event: Event) -> Span:
    start, end = event.start_mark, event.end_mark
    one_line = isinstance(event, ScalarEvent | AliasEvent) and start.line == end.line
    return Span(
        start.line + 1, start.column + 1, max(1, end.column - start.column) if one_line else 1
    )
