"""problems: what is wrong with params.yaml, where, and how a person sees it."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

WIDEST = 160  # of a longer line only the part around the caret is shown
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # the line breaks of YAML
Paint = Callable[[str, str], str]  # text, role -> text: place, error, warning, other


def plain(text: str, role: str) -> str:
    """Without colours."""
    return text


class Span(NamedTuple):
    """A place in a file: line and column from 1, and the number of characters to underline."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what to do about it.

    rule     the name of the broken rule, for machines
    what     path of the field, such as `model.minilm.training.epochs`
    hint     shown after the caret
    others   related places, each with a few words
    warning  nothing fails because of it
    """

    rule: str
    span: Span
    what: str
    found: str
    hint: str = ""
    others: tuple[tuple[Span, str], ...] = ()
    warning: bool = False

    @property
    def level(self) -> str:
        """`error` or `warning`."""
        return "warning" if self.warning else "error"


@dataclass(eq=False)
class ProblemsFound(Exception):
    """Raised where a file cannot even be parsed."""

    path: Path
    lines: Sequence[str]
    problems: Sequence[Problem]

    def __str__(self) -> str:
        return "\n".join(as_text(problem, self.path, self.lines) for problem in self.problems)


def as_text(problem: Problem, path: Path, lines: Sequence[str], paint: Paint = plain) -> str:
    """The problem, its line with a caret, and the related places."""
    span, role = problem.span, problem.level
    if not lines:  # the file is missing, or cannot be read
        return f"{paint(f'{path}: ', 'place')}{problem.found}\n  -> {problem.hint}"
    text = paint(f"{path}:{span.line}:{span.column}: ", "place")
    text += paint("warning: ", role) if problem.warning else ""
    text += f"{problem.what}: {problem.found}"
    if span.line > len(lines):
        return text + (f"\n  -> {problem.hint}" if problem.hint else "")
    for i, (place, remark) in enumerate(((span, problem.hint), *problem.others)):
        if place.line <= len(lines):
            before, marks = _excerpt(place, lines, "-" if i else "^")
            text += before + paint(f"{marks} {remark}".rstrip(), "other" if i else role)
    return text


def _excerpt(span: Span, lines: Sequence[str], mark: str) -> tuple[str, str]:
    """(the line, and the space below it that leads to the place; marks for the place)."""
    line, start = lines[span.line - 1], span.column - 1
    if len(line) > WIDEST:
        first = max(0, start - WIDEST // 4)
        ellipsis = "…" if first else ""
        start -= first - len(ellipsis)
        end = "…" if first + WIDEST < len(line) else ""
        line = ellipsis + line[first : first + WIDEST] + end
    width = max(1, min(span.width, len(line) - start))
    # a terminal would obey other characters, or hide them
    line = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)
    before = "".join("\t" if c == "\t" else " " * columns(c) for c in line[:start])
    marks = mark * max(1, columns(line[start : start + width]))
    return f"\n{f'{span.line:5} | {line}'.rstrip()}\n      | {before}", marks


def columns(text: str) -> int:
    """Width on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
        if unicodedata.category(c) not in ("Mn", "Me", "Cf")
    )


def dotted(steps: Sequence[object]) -> str:
    """A path as users write it: `corpus.old.tables[0].label`."""
    text = "".join(f"[{step}]" if type(step) is int else f".{_written(step)}" for step in steps)
    return text.removeprefix(".") or "params.yaml"


def _written(step: object) -> str:
    if step is None or isinstance(step, bool):
        return json.dumps(step)
    return printable(clipped(str(step) or "''"))


def clipped(text: str) -> str:
    """Its first 60 characters."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def printable(text: str) -> str:
    """With characters that are invisible or move a cursor as `\\u001b`."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
