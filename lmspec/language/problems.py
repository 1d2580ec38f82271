"""problems: what is wrong with params.yaml, where, and how a person is shown it."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDEST = 160  # a longer line is shown around its caret
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML takes for the end of a line


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a file: line and column from 1, and how many characters of the line to underline."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what to do about it.

    rule     the name of the rule that is broken, for machines
    what     path of the field, such as `model.minilm.training.epochs`
    hint     stands behind the caret
    others   other places that have a part in it, each with what stands there
    warning  nothing fails because of it
    """

    rule: str
    span: Span
    what: str
    found: str
    hint: str = ""
    others: tuple[tuple[Span, str], ...] = ()
    warning: bool = False


class ProblemsFound(Exception):
    """Raised where a file cannot even be parsed."""

    def __init__(self, path: Path, lines: Sequence[str], problems: Sequence[Problem]) -> None:
        super().__init__(path, lines, problems)
        self.path, self.lines, self.problems = path, lines, problems

    def __str__(self) -> str:
        return "\n".join(as_text(problem, self.path, self.lines) for problem in self.problems)


def as_text(
    problem: Problem,
    path: Path,
    lines: Sequence[str],
    paint: Callable[[str, str], str] = lambda text, _: text,
) -> str:
    """The problem, its line with a caret, and the other places.

    paint  gives a part of the text the look of its role: place, error, warning, caret, other
    """
    span = problem.span
    role = "warning" if problem.warning else "error"
    if not lines:  # the file itself is missing, or cannot be read
        return f"{paint(f'{path}: ', 'place')}{problem.found}\n  -> {problem.hint}"
    head = f"{path}:{span.line}:{span.column}: "
    text = f"{paint(head, 'place')}{paint('warning: ', role) if problem.warning else ''}{problem.what}: {problem.found}"
    if not _shown(span, lines):
        return text + (f"\n  -> {problem.hint}" if problem.hint else "")
    text += _excerpt(span, lines, "^", problem.hint, lambda part: paint(part, role))
    for place, said in problem.others:
        if _shown(place, lines):
            text += _excerpt(place, lines, "-", said, lambda part: paint(part, "other"))
    return text


def _shown(span: Span, lines: Sequence[str]) -> bool:
    return span.line <= len(lines)


def _excerpt(
    span: Span, lines: Sequence[str], mark: str, said: str, paint: Callable[[str], str]
) -> str:
    line, start = lines[span.line - 1], span.column - 1
    width = max(1, min(span.width, len(line) - start))
    if len(line) > WIDEST:
        first = max(0, start - WIDEST // 4)
        cut = "…" if first else ""
        line, start = (
            cut + line[first : first + WIDEST] + ("…" if first + WIDEST < len(line) else ""),
            start - first + len(cut),
        )
        width = max(1, min(width, len(line) - start))
    line = "".join(
        c if c.isprintable() or c == "\t" else "\ufffd" for c in line
    )  # a terminal would obey it, or hide it
    before = "".join("\t" if c == "\t" else " " * _columns(c) for c in line[:start])
    marks = mark * max(1, sum(_columns(c) for c in line[start : start + width]))
    return f"\n{f'{span.line:5} | {line}'.rstrip()}\n      | {before}{paint(marks + (' ' + said if said else ''))}"


def _columns(character: str) -> int:
    """How wide a terminal shows it."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def dotted(steps: Sequence[object]) -> str:
    """A path as it is written: `corpus.old.tables[0].label`."""
    text = "".join(f"[{step}]" if type(step) is int else f".{_clipped(step)}" for step in steps)
    return text.removeprefix(".") or "params.yaml"


def _clipped(step: object) -> str:
    if step is None or isinstance(step, bool):
        return {None: "null", True: "true", False: "false"}[step]
    step = str(step) or "''"
    return printable(step if len(step) <= 60 else step[:57] + "...")


def printable(text: str) -> str:
    """Without characters that would move a terminal's cursor or hide: they are shown by their numbers."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
