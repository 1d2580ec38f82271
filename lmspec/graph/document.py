"""document: params.yaml as YAML 1.2, the way DVC reads it, with the place of every key and value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lmspec.errors import LmspecError

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Span:
    """A place in a file: line and column from 1, and how many characters of the line to underline."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    span: Span
    what: str
    found: str
    hint: str = ""


@dataclass
class Document:
    """A parsed file: its values, its lines, and the places of keys and values by their path."""

    path: Path
    lines: list[str]
    values: Any
    keys: dict[Steps, Span] = field(default_factory=dict)
    places: dict[Steps, Span] = field(default_factory=dict)

    def place(self, steps: Steps, key: bool = False) -> Span:
        """Of the value at that path, or of its key; of the nearest parent where the path leads nowhere."""
        while steps:
            if key and steps in self.keys:
                return self.keys[steps]
            if steps in self.places:
                return self.places[steps]
            steps, key = steps[:-1], True
        return Span(1, 1)

    def show(self, problem: Problem) -> str:
        """The problem with its line and a caret under it."""
        span = problem.span
        head = f"{self.path}:{span.line}:{span.column}: {problem.what}: {problem.found}"
        if span.line > len(self.lines):
            return head + (f"\n  -> {problem.hint}" if problem.hint else "")
        number = str(span.line).rjust(5)
        caret = " " * (span.column - 1) + "^" * max(1, span.width)
        return f"{head}\n{number} | {self.lines[span.line - 1]}\n      | {caret}{' ' + problem.hint if problem.hint else ''}"


class ProblemsFound(Exception):
    """Raised where a document cannot even be parsed."""

    def __init__(self, document: Document, problem: Problem) -> None:
        super().__init__(document.show(problem))
        self.document, self.problem = document, problem


def read(path: Path) -> Document:
    """Parse a file. Raises LmspecError if it cannot be read, ProblemsFound if it is not YAML or not a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LmspecError(str(path), "there is no such file", "run lmspec in the folder that holds params.yaml") from None
    except UnicodeDecodeError as error:
        raise LmspecError(str(path), f"it is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    document = Document(path, text.splitlines(), None)
    try:
        node = YAML(typ="safe").compose(text)
        if node is not None:
            _locate(node, (), document)
        document.values = YAML(typ="safe").load(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        span = Span(mark.line + 1, mark.column + 1) if mark else Span(1, 1)
        said = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error).splitlines()[0]
        raise ProblemsFound(document, Problem(span, "YAML", said, _advice(said))) from None
    if not isinstance(document.values, dict):
        kind = "empty" if document.values is None else f"a {type(document.values).__name__}"
        raise ProblemsFound(document, Problem(Span(1, 1), "params.yaml", f"it is {kind}", "it must map nouns to artifacts"))
    return document


def _advice(said: str) -> str:
    """What usually is behind it: a YAML reader notices late."""
    if "mapping values are not allowed" in said:
        return "look at the line above too: `key: value` needs a blank after the colon, and the indentation of its neighbours"
    if "found character" in said:
        return "indent with blanks, not with tabs"
    return "look at the line above too"


def _locate(node: Node, steps: Steps, document: Document) -> None:
    document.places[steps] = _span(node)
    if isinstance(node, MappingNode):
        for key, value in node.value:
            name = (*steps, key.value if isinstance(key, ScalarNode) else str(key.value))
            document.keys[name] = _span(key)
            _locate(value, name, document)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _locate(value, (*steps, index), document)


def _span(node: Node) -> Span:
    start, end = node.start_mark, node.end_mark
    same_line = isinstance(node, ScalarNode) and start.line == end.line
    return Span(start.line + 1, start.column + 1, end.column - start.column if same_line else 1)
