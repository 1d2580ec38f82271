"""yamlfile: a YAML file that people write, read so that each mistake has its line.

formats/cases.py and formats/contrasts.py say what is in theirs.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lmspec.errors import LmspecError, some
from lmspec.formats import yamltext
from lmspec.specs.suites import slots, stray

MOST_BYTES = 4 * 2**20
NAME = "abcdefghijklmnopqrstuvwxyz0123456789_-"


def text(path: Path, file: str, field: str) -> str:
    """Its content. field: which names it. Raises LmspecError if it is not there, or no text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        why = "there is no such file" if not path.exists() else f"{error.strerror}"
        raise LmspecError(file, why, f"correct `{field}`, or add the file") from None
    if len(content) > MOST_BYTES:
        found = f"it has {len(content):,} bytes, and may have {MOST_BYTES:,}"
        raise LmspecError(file, found, "texts of a corpus belong in a source")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LmspecError(f"{file}:{line}", "it is not UTF-8", "save it as UTF-8") from None


class YamlFile:
    """One file, whose parts are read by their nodes."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        try:
            yamltext.require_bounded(text)
            self.root = YAML(typ="safe").compose(text)
        except yamltext.Unbounded as error:
            raise LmspecError(file, str(error), "write it out, with less of it") from None
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
            found = f"it is not YAML: {error.problem or error.context}"
            raise LmspecError(f"{file}{line}", found, "correct it; quote a text with {") from None
        except YAMLError as error:
            first = str(error).partition("\n")[0]
            raise LmspecError(file, f"it is not YAML: {first}", "correct it") from None

    def place(self, node: Node | None) -> str:
        """`cases/sentiment.yaml:12:5`."""
        if node is None:
            return self.file
        return f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def refuse(self, node: Node | None, found: str, remedy: str) -> NoReturn:
        """Raise LmspecError at a node."""
        raise LmspecError(self.place(node), found, remedy)

    def head(self, known: Sequence[str]) -> dict[str, Node]:
        """The fields of the file, which says whose work it is, and who may use it."""
        fields = self.fields(self.root, "the file", known)
        for name in ("source", "license"):
            if name not in fields:
                remedy = f"write `{name}:` at the top: whose texts they are, and who may use them"
                self.refuse(self.root, f"it has no {name}", remedy)
            self.word(fields[name], name)
        return fields

    def require_name(self, node: Node, name: str, what: str) -> None:
        """A name that metrics can have."""
        if not name[:1].islower() or set(name) - set(NAME) or len(name) > 60:
            rule = "lower-case letters, digits, '-' and '_', starting with a letter"
            self.refuse(node, f"{what} cannot be called {name!r}", f"write {rule}")

    def words(self, node: Node | None) -> dict[str, tuple[str, ...]]:
        """Slot -> its words; each once."""
        found = {}
        for name, listed in self.mapping(node, "words").items() if node is not None else ():
            if slots(f"{{{name}}}") != (name,):
                remedy = "write lower-case letters, digits and '_', starting with a letter"
                self.refuse(listed, f"a slot cannot be called {name!r}", remedy)
            found[name] = self.texts(listed, name)
        return found

    def require_slots(
        self, node: Node | None, template: str, words: Collection[str], others: Collection[str] = ()
    ) -> None:
        """Each slot has words, or is one of `others`; nothing else looks like a slot."""
        if (found := stray(template)) is not None:
            remedy = f"use a-z, digits and '_'; for braces, write {{{found}}}"
            self.refuse(node, f"{found} in {template!r} cannot be the name of a slot", remedy)
        for slot in slots(template):
            if slot not in words and slot not in others:
                there = some(list(words)) if words else "none yet"
                message = f"{template!r} has a slot {{{slot}}}, of which there are no words"
                self.refuse(node, message, f"list them in `words` (there are {there})")

    def texts(
        self, node: Node | None, what: str, default: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """A list of different texts, at least one."""
        if node is None and default is not None:
            return default
        if not isinstance(node, SequenceNode) or not node.value:
            self.refuse(node, f"{what} is no list of texts", f"write `{what}: [one, another]`")
        found: dict[str, None] = {}
        for item in node.value:
            text = self.word(item, f"each of {what}")
            if text in found:
                self.refuse(item, f"{what} has {text!r} twice", "remove one")
            found[text] = None
        return tuple(found)

    def word(self, node: Node, what: str) -> str:
        """A text; in YAML 1.2 `no` is one, and here a number is, too."""
        if not isinstance(node, ScalarNode) or not str(node.value).strip():
            self.refuse(node, f"{what} is no text", "write a text; quote one with a colon or {")
        return str(node.value)

    def number(
        self,
        node: Node | None,
        what: str,
        low: int,
        high: int,
        default: Any,
        kind: Callable[[str], Any] = int,
    ) -> Any:
        """A number between two others, or what counts without it."""
        if node is None:
            return default
        try:
            value = kind(node.value)
        except (ValueError, TypeError):
            value = None
        if value is None or not low <= value <= high:
            self.refuse(node, f"{what} is no number from {low} to {high:,}", "correct it")
        return value

    def choice(self, node: Node | None, around: Node, what: str, among: Sequence[str]) -> str:
        """One of some words."""
        value = node.value if isinstance(node, ScalarNode) else None
        if value not in among:
            shown = "missing" if node is None else f"{value!r}" if value else "no text"
            self.refuse(node or around, f"{what} is {shown}", f"write one of {', '.join(among)}")
        return str(value)

    def fields(self, node: Node | None, what: str, known: Sequence[str]) -> dict[str, Node]:
        """A mapping with none but these keys."""
        for name, key, _ in self._entries(node, what):
            if name not in known:
                remedy = f"remove it; there are {', '.join(known)}"
                self.refuse(key, f"{what} has no field {name!r}", remedy)
        return self.mapping(node, what)

    def mapping(self, node: Node | None, what: str) -> dict[str, Node]:
        """Key -> value; a key occurs once."""
        found: dict[str, Node] = {}
        for name, key, value in self._entries(node, what):
            if name in found:
                self.refuse(key, f"{what} has {name!r} twice", "remove one")
            found[name] = value
        return found

    def _entries(self, node: Node | None, what: str) -> Iterator[tuple[str, Node, Node]]:
        if not isinstance(node, MappingNode):
            self.refuse(node, f"{what} is no mapping", "write `key: value` lines")
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.refuse(key, f"a key of {what} is no text", "write a text before the colon")
            yield str(key.value), key, value
