"""document: params.yaml as YAML 1.2, the way DVC reads it, with the place of every key and value."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.language import compose, syntax
from lmspec.language.compose import Node
from lmspec.language.problems import BREAK, Problem, ProblemsFound, Span
from lmspec.specs.disagreement import Steps

CONFLICT = re.compile(r"(?:<{7}|>{7}|\|{7})(?: |$)")  # the marks that git leaves
MOST_BYTES = 4 * 2**20  # a spec of 1,000 artifacts has less than 0.5 MB
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


@dataclass
class Document:
    """A parsed file: its lines, and its values with their places."""

    path: Path
    lines: list[str]
    root: Node

    @property
    def values(self) -> dict[str, Any]:
        """What the file maps to what, at the top."""
        values: dict[str, Any] = self.root.value
        return values

    def place(self, steps: Steps, key: bool = False) -> Span:
        """Of the value at that path, or of its key; of the key of the nearest parent where the path leads nowhere."""
        node, span, owner = self.root, self.root.span, self.root.span
        for i, step in enumerate(steps):
            entries = node.entries
            if isinstance(entries, dict) and step in entries:
                owner, node = entries[step]
            elif isinstance(entries, list) and isinstance(step, int) and step < len(entries):
                node = entries[step]
                owner = node.span
            else:
                return owner if i else span
        return owner if key else node.span

    def detours(self, steps: Steps) -> tuple[Span, ...]:
        """Where a path leads over an alias or a merged mapping to a value that is written elsewhere."""
        node, spans = self.root, []
        for step in steps:
            if node.alias:
                spans.append(node.span)
            if isinstance(node.entries, dict) and step in node.entries:
                if step in node.merged:
                    spans.append(node.merged[step])
                node = node.entries[step][1]
            elif (
                isinstance(node.entries, list)
                and isinstance(step, int)
                and step < len(node.entries)
            ):
                node = node.entries[step]
            else:
                break
        return tuple(spans)


def read(path: Path) -> Document:
    """Parse a file. Raises ProblemsFound if it cannot be read, or is not a mapping in YAML."""
    return parsed(_text(path)[0], path)


def parsed(text: str, path: Path) -> Document:
    """The document of a text that was read from a file, or is to be written there. Raises as `read` does."""
    lines = BREAK.split(text)
    composer = compose.Composer()
    conflict = next((i for i, line in enumerate(lines, 1) if CONFLICT.match(line)), None)
    if conflict:
        hint = "take one split, and remove the marks"
        raise ProblemsFound(
            path,
            lines,
            [
                Problem(
                    "yaml", Span(conflict, 1, 7), "YAML", "a merge conflict is not resolved", hint
                )
            ],
        )
    try:
        for event in YAML(typ="safe").parse(text):
            composer.take(event)
    except YAMLError as error:
        composer.problems.append(syntax.problem(error, lines))
    except compose.Stop as stop:
        composer.problems.append(stop.problem)
    root = composer.root
    if root is None or not isinstance(root.value, dict):
        what = (
            "empty"
            if root is None or root.value is None
            else f"a {'list' if isinstance(root.value, list) else 'single value'}"
        )
        hint = "it must map sections to artifacts; `lmspec init` writes one into an empty folder"
        composer.problems = composer.problems or [
            Problem("yaml", Span(1, 1), "YAML", f"the file is {what}", hint)
        ]
    if root is None or composer.problems:
        raise ProblemsFound(
            path, lines, sorted(composer.problems, key=lambda p: (p.span.line, p.span.column))
        )
    return Document(path, lines, root)


def _text(path: Path) -> tuple[str, list[str]]:
    """The text and its lines. Raises ProblemsFound."""

    def refuse(
        found: str, hint: str, span: Span | None = None, lines: list[str] | None = None
    ) -> ProblemsFound:
        what = "YAML" if span else path.name
        return ProblemsFound(
            path, lines or [], [Problem("file", span or Span(1, 1), what, found, hint)]
        )

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = (
            "run lmspec in the folder that holds it; `lmspec init` writes one into an empty folder"
        )
        raise refuse("there is no such file", hint) from None
    except OSError as error:
        raise refuse(
            f"it cannot be read: {error.strerror}", "it must be a file that you may read"
        ) from None
    if len(content) > MOST_BYTES:
        raise refuse(
            f"it has {len(content):,} bytes, and may have {MOST_BYTES:,}",
            "data belong in files of their own",
        )
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        lines = BREAK.split(content.decode("utf-8", "replace"))
        raise refuse(
            f"byte {error.start} is not UTF-8", "save the file as UTF-8", _end(before), lines
        ) from None
    lines = BREAK.split(text)
    wrong = CONTROL.search(text)
    if wrong:
        found = f"the control character U+{ord(wrong[0]):04X} must not stand in YAML"
        raise refuse(found, "remove it", _end(text[: wrong.start()]), lines)
    return text, lines


def _end(text: str) -> Span:
    *before, last = BREAK.split(text)
    return Span(len(before) + 1, len(last) + 1)
