"""document: params.yaml as YAML 1.2, as DVC reads it, with the place of every key and value."""

import functools
import re
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.language import compose, syntax, uses
from lmspec.language.compose import Node
from lmspec.language.problems import BREAK, Problem, ProblemsFound, Span
from lmspec.specs import blocks
from lmspec.specs.disagreement import Steps
from lmspec.specs.names import NO_NOUNS

CONFLICT = re.compile(r"(?:<{7}|>{7}|\|{7})(?: |$)")  # the markers that git leaves
MOST_BYTES = 4 * 2**20  # a spec of 1,000 artifacts has less than 0.5 MB
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


@dataclass
class Document:
    """A parsed file: its lines, and its values with their places."""

    path: Path
    lines: list[str]
    root: Node
    values: dict[str, Any]

    @functools.cached_property
    def resolved(self) -> dict[str, Any]:
        """The values with blocks in place of the references to them.

        Raises LmspecError if there are too many.
        """
        named = blocks.of(self.values)
        if not named:
            return self.values
        # a key may be null or a number, which `validate` reports
        texts = {key: value for key, value in self.values.items() if isinstance(key, str)}
        rest = {key: value for key, value in self.values.items() if key not in texts}
        return blocks.without(texts) | rest | {blocks.SECTION: self.values[blocks.SECTION]}

    def _steps(self, steps: Steps) -> list[tuple[Steps, Span | None]]:
        """(path of what is written, place of a reference to it) at the end of each step.

        Where a field names a block, the path goes on in the block.
        """
        named, value, written = blocks.of(self.values), cast(Any, self.values), Steps()
        inside: set[str] = set()
        trail: list[tuple[Steps, Span | None]] = []
        for step in steps:
            written = (*written, step)
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                value = None
            is_field = written[0] not in NO_NOUNS or (written[0] == "blocks" and len(written) > 2)
            name, place = blocks.named(value, named) if is_field else None, None
            if name is not None and name not in inside:
                place = self._descend(written)[-1][1].span
                inside, written, value = {*inside, name}, (blocks.SECTION, name), named[name]
            trail.append((written, place))
        return trail

    def written(self, steps: Steps) -> Steps:
        """Where the value at a path is written: in the block that a field on the way names."""
        return self._steps(steps)[-1][0] if steps and blocks.of(self.values) else steps

    def references(self, steps: Steps) -> list[tuple[Span, Steps]]:
        """(place, path) of each reference to a block on the way to a path, its end included."""
        if not blocks.of(self.values):
            return []
        trail = self._steps(steps)
        return [(place, steps[: i + 1]) for i, (_, place) in enumerate(trail) if place]

    @functools.cached_property
    def users(self) -> dict[str, list[tuple[Span, Steps]]]:
        """Block -> (place, path) of each field that names it, those of other blocks included."""
        users: dict[str, list[tuple[Span, Steps]]] = {}
        for steps, name in uses.places(self.values):
            users.setdefault(name, []).append((self._descend(steps)[-1][1].span, steps))
        return users

    def _descend(self, steps: Steps) -> list[tuple[Span, Node]]:
        """(place of the key, value) at the end of each step, as far as the path leads."""
        trail, node = [], self.root
        for step in steps:
            entries = node.entries
            if isinstance(entries, dict) and step in entries:
                trail.append(entries[step])
            elif isinstance(entries, list) and isinstance(step, int) and step < len(entries):
                trail.append((entries[step].span, entries[step]))
            else:
                break
            node = trail[-1][1]
        return trail

    def place(self, steps: Steps, key: bool = False) -> Span:
        """Of the value at a path, or of its key; of the nearest key if the path leads nowhere.

        Of the block, where a field names one.
        """
        steps = self.written(steps)
        trail = self._descend(steps)
        if not trail:
            return self.root.span
        owner, node = trail[-1]
        return owner if key or len(trail) < len(steps) else node.span

    def detours(self, steps: Steps) -> tuple[Span, ...]:
        """Where a path leads over an alias or a merged mapping to a value written elsewhere."""
        steps = self.written(steps)
        parents = [self.root, *(node for _, node in self._descend(steps))]
        spans = []
        for parent, step in zip(parents, steps, strict=False):
            spans += [parent.span] if parent.alias else []
            spans += [parent.merged[step]] if step in parent.merged else []
        return tuple(spans)


def read(path: Path) -> Document:
    """Parse a file. Raises ProblemsFound if it cannot be read, or is not a mapping in YAML."""
    return parsed(text_of(path), path)


def parsed(text: str, path: Path) -> Document:
    """The document of a text from that file. Raises as `read` does."""
    _require_small(len(text.encode(errors="replace")), path)
    lines = BREAK.split(text)
    conflict = next((i for i, line in enumerate(lines, 1) if CONFLICT.match(line)), None)
    if conflict:
        found, hint = "a merge conflict is not resolved", "keep one side, and remove the markers"
        problem = Problem("yaml", Span(conflict, 1, 7), "YAML", found, hint)
        raise ProblemsFound(path, lines, [problem])
    composer, root = compose.Composer(YAML(typ="safe").parse(text)), None
    try:
        root = composer.document()
    except YAMLError as error:
        composer.problems.append(syntax.problem(error, lines))
    except compose.Unreadable as error:
        span, found, hint = error.args
        composer.problems.append(Problem("yaml", span, "YAML", found, hint))
    problems = composer.problems
    value: Any = root.value if root else None
    if not problems and not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        found = f"the file is {'empty' if value is None else kind}"
        hint = "it must map sections to artifacts; `lmspec init` writes one into an empty folder"
        problems = [Problem("yaml", Span(1, 1), "YAML", found, hint)]
    if root is None or problems:
        raise ProblemsFound(path, lines, sorted(problems, key=attrgetter("span")))
    return Document(path, lines, root, value)


def _require_small(size: int, path: Path) -> None:
    if size > MOST_BYTES:
        found = f"it has {size:,} bytes, and may have {MOST_BYTES:,}"
        hint = "data belong in files of their own"
        raise ProblemsFound(path, [], [Problem("file", Span(1, 1), path.name, found, hint)])


def text_of(path: Path) -> str:
    """The text of a file, without a byte-order mark. Raises ProblemsFound."""

    def rejected(found: str, hint: str, text: str = "", start: int = 0) -> ProblemsFound:
        """start: the place in the text; without text, the file is rejected as a whole."""
        *above, last = BREAK.split(text[:start])
        span = Span(len(above) + 1, len(last) + 1)
        problem = Problem("file", span, "YAML" if text else path.name, found, hint)
        return ProblemsFound(path, BREAK.split(text) if text else [], [problem])

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = "run lmspec in the folder that has it; `lmspec init` writes one into an empty folder"
        raise rejected("there is no such file", hint) from None
    except OSError as error:
        hint = "it must be a file that you may read"
        raise rejected(f"it cannot be read: {error.strerror}", hint) from None
    _require_small(len(content), path)
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        found, readable = f"byte {error.start} is not UTF-8", content.decode("utf-8", "replace")
        start = len(content[: error.start].decode("utf-8"))
        raise rejected(found, "save the file as UTF-8", readable, start) from None
    if control := CONTROL.search(text):
        found = f"the control character U+{ord(control[0]):04X} is not allowed"
        raise rejected(found, "remove it", text, control.start())
    return text
