"""cases: a file of suites of cases, read and checked: templates, words, and what must hold.

source: written for this project
license: Apache-2.0
words: {thing: [film, phone]}
suites:
  negation:
    kind: minimum
    templates: ['The {thing} was not bad.']
    label: positive
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lmspec.errors import LmspecError, some
from lmspec.formats import yamltext
from lmspec.specs.suites import CHANGES, KINDS, PERTURBATIONS, Change, Suite, slots

MOST_BYTES = 4 * 2**20
FILE = ("source", "license", "words", "suites")
FIELDS = {  # kind -> what it may have beside `kind`, `about`, `templates`, `words` and `most`
    "minimum": ("label",),
    "invariance": ("vary", "times", *CHANGES),
    "direction": ("raises", "lowers", "tolerance", "times", *CHANGES),
    "groups": ("vary", "label"),
}
COMMON = ("kind", "about", "templates", "words", "most")
NAME = "abcdefghijklmnopqrstuvwxyz0123456789_-"
MOST = 100_000  # cases of a suite
MOST_TYPOS = 20


def read(root: Path, file: str) -> tuple[Suite, ...]:
    """The suites of a file of the repository. Raises LmspecError at the first mistake."""
    return _File(file, _text(root / file, file)).suites()


def require_labels(suites: Sequence[Suite], labels: Collection[str]) -> None:
    """Raise LmspecError if a suite is about a label that the model does not have."""
    for suite in suites:
        if suite.label is not None and suite.label not in labels:
            found = f"{suite.name}: the model has no label {suite.label!r}"
            raise LmspecError(suite.place, found, f"write one of {some(list(labels))}")


def _text(path: Path, file: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        why = "there is no such file" if not path.exists() else f"{error.strerror}"
        raise LmspecError(file, why, "correct `cases`, or add the file") from None
    if len(content) > MOST_BYTES:
        found = f"it has {len(content):,} bytes, and may have {MOST_BYTES:,}"
        raise LmspecError(file, found, "texts of a corpus belong in a source")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LmspecError(f"{file}:{line}", "it is not UTF-8", "save it as UTF-8") from None


class _File:
    """One file: each message has its line."""

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

    def suites(self) -> tuple[Suite, ...]:
        """All of them, in order; at least one."""
        fields = self.fields(self.root, "the file", FILE)
        for name in ("source", "license"):
            if name not in fields:
                remedy = f"write `{name}:` at the top: whose cases they are, and who may use them"
                self.refuse(self.root, f"it has no {name}", remedy)
            self.word(fields[name], name)
        shared = self.words(fields.get("words"))
        named = self.mapping(fields.get("suites"), "suites") if "suites" in fields else {}
        if not named:
            self.refuse(self.root, "it has no suites", "write `suites:`, and a suite below it")
        return tuple(self.suite(name, node, shared) for name, node in named.items())

    def suite(self, name: str, node: Node, shared: Mapping[str, tuple[str, ...]]) -> Suite:
        """One suite."""
        if not name[:1].islower() or set(name) - set(NAME) or len(name) > 60:
            rule = "lower-case letters, digits, '-' and '_', starting with a letter"
            self.refuse(node, f"a suite cannot be called {name!r}", f"write {rule}")
        kind = self.choice(self.mapping(node, name).get("kind"), node, f"kind of {name}", KINDS)
        fields = self.fields(node, f"{name}, of kind {kind},", (*COMMON, *FIELDS[kind]))
        templates = self.texts(fields.get("templates"), "templates", ())
        words = {**shared, **self.words(fields.get("words"))}
        used = self.used(fields.get("templates"), templates, words)
        change = self.change(node, name, fields) if kind in ("invariance", "direction") else None
        vary = self.vary(node, name, fields, templates, used)
        if not templates and (change is None or vary is not None):
            self.refuse(node, f"{name} has no templates", "write `templates:`, a list of texts")
        if vary is None and change is None and kind in ("invariance", "groups"):
            ways = "vary" if kind == "groups" else f"vary, {', '.join(CHANGES)}"
            self.refuse(node, f"{name} changes nothing", f"write one of {ways}")
        label, rises = self.label(node, name, kind, fields)
        most = self.number(fields.get("most"), "most", 1, MOST, None)
        tolerance = self.number(fields.get("tolerance"), "tolerance", 0, 1, 0.0, float)
        made = Suite(
            name, kind, self.place(node), templates, used, vary, change, label, rises,
            tolerance or 0.0, most,
        )  # fmt: skip
        self.require_few(node, made)
        return made

    def require_few(self, node: Node, suite: Suite) -> None:
        """No more fillings of templates than a build can go through."""
        total = 0
        for template in suite.templates:
            count = 1
            for slot in slots(template):
                count *= len(suite.words[slot])
            total += count
        if total > 10 * MOST or (suite.most is None and total > MOST):
            found = f"{suite.name}: its templates stand for {total:,} texts"
            self.refuse(node, found, "list fewer words, or draw some of them: `most: 200`")

    def label(
        self, node: Node, name: str, kind: str, fields: Mapping[str, Node]
    ) -> tuple[str | None, bool]:
        """(the label that a suite is about, must its probability not fall?)"""
        wanted = {"minimum": ("label",), "direction": ("raises", "lowers"), "groups": ("label",)}
        names = [field for field in wanted.get(kind, ()) if field in fields]
        if kind in wanted and len(names) != 1:
            ways = " or ".join(f"`{field}:`" for field in wanted[kind])
            self.refuse(node, f"{name} is about no label", f"write {ways} and one label")
        if not names:
            return None, True
        return self.word(fields[names[0]], names[0]), names[0] != "lowers"

    def vary(
        self,
        node: Node,
        name: str,
        fields: Mapping[str, Node],
        templates: Sequence[str],
        words: Mapping[str, tuple[str, ...]],
    ) -> str | None:
        """The slot whose words are compared: each template has it, and it has two words."""
        if "vary" not in fields:
            return None
        slot = self.word(fields["vary"], "vary")
        for template in templates:
            if slot not in slots(template):
                found = f"{name}: {template!r} has no slot {{{slot}}}, which varies"
                self.refuse(fields.get("templates") or node, found, "add it, or remove the text")
        if len(words.get(slot, ())) < 2:
            self.refuse(fields["vary"], f"{slot} needs two words", f"list them: `{slot}: [a, b]`")
        return slot

    def change(self, node: Node, name: str, fields: Mapping[str, Node]) -> Change | None:
        """What is done to each text; None if a slot varies."""
        ways = [way for way in fields if way in ("vary", *CHANGES)]
        if len(ways) > 1:
            self.refuse(fields[ways[1]], f"{name} changes two things", f"remove {ways[1]}")
        if "times" in fields and (ways != ["perturb"] or fields["perturb"].value != "typo"):
            self.refuse(fields["times"], "`times` is of typos", "remove it")
        if not ways or ways == ["vary"]:
            return None
        (how,) = ways
        if how == "perturb":
            value = self.choice(fields[how], node, how, PERTURBATIONS)
            times = self.number(fields.get("times"), "times", 1, MOST_TYPOS, 1) or 1
            return Change(how, (value,), times=times)
        if how == "replace":
            pairs = {k: self.word(v, k) for k, v in self.mapping(fields[how], how).items()}
            if not pairs:
                self.refuse(fields[how], "it replaces nothing", "write `{he: she}`")
            return Change(how, words=pairs)
        return Change(how, self.texts(fields[how], how))

    def used(
        self, node: Node | None, templates: Sequence[str], words: Mapping[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        """The words of the slots in some templates."""
        found: dict[str, tuple[str, ...]] = {}
        for template in templates:
            for slot in slots(template):
                if slot not in words:
                    there = some(list(words)) if words else "none yet"
                    message = f"{template!r} has a slot {{{slot}}}, of which there are no words"
                    self.refuse(node, message, f"list them in `words` (there are {there})")
                found[slot] = words[slot]
        return found

    def words(self, node: Node | None) -> dict[str, tuple[str, ...]]:
        """Slot -> its words; each once."""
        found = {}
        for name, listed in self.mapping(node, "words").items() if node is not None else ():
            if slots(f"{{{name}}}") != (name,):
                remedy = "write lower-case letters, digits and '_', starting with a letter"
                self.refuse(listed, f"a slot cannot be called {name!r}", remedy)
            found[name] = self.texts(listed, name)
        return found

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
