"""layout: params.yaml in one form: sections in the order of the flow, one blank line between them, two blanks a level."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.graph import document as documents
from lmspec.graph import indentation, schema
from lmspec.graph.problems import ProblemsFound
from lmspec.graph.sheet import BLANK, COMMENT, TEXT, Line, Sheet

MODELINE = "# yaml-language-server:"  # editors look for it at the top
INTACT = "nothing was written"


@dataclass(frozen=True)
class _Parts:
    """A file, divided: what stays at the top, sections by name with the comments that belong to them, what stays at the end."""

    head: list[Line]
    sections: list[tuple[str, list[Line]]]
    foot: list[Line]


def formatted(text: str, path: Path) -> str:
    """A text that parses, in the form of the house: the same values, and every comment.

    A comment directly above a section moves with it. What stands above the first section with an empty line between is the
    header of the file, and stays on top; a comment below the last one stays at the end. Raises LmspecError if the text
    cannot be brought into that form.
    """
    sheet = indentation.indented(text)
    if not sheet.sections:
        found = "the whole file stands in braces, so there are no sections to put in order"
        raise LmspecError(str(path), f"{found}; {INTACT}", "write each section as `name:` at the beginning of a line")
    order = tuple(schema.sections())
    parts = _divided(sheet)
    ranks = [order.index(name) if name in order else len(order) for name, _ in parts.sections]
    ranked = [parts.sections[i][1] for i in sorted(range(len(ranks)), key=lambda i: ranks[i])]
    moved = ranked[-1] is not parts.sections[-1][1]
    written = "".join(line.written() + line.end for line in _joined(parts, ranked, moved))
    _refuse_loss(text, written, sheet.comments, path)
    return written


def _divided(sheet: Sheet) -> _Parts:
    starts = [n for n, _ in sheet.sections]
    head, lead = _header(sheet.lines[: starts[0]])
    sections = []
    for i, (start, name) in enumerate(sheet.sections):
        end = starts[i + 1] if i + 1 < len(starts) else min(sheet.foot, len(sheet.lines))
        filled = max(n for n in range(start, end) if sheet.lines[n].kind == TEXT) + 1
        tail, rest = _tail(sheet.lines[filled:end], last=i + 1 == len(starts))
        sections.append((name, [*lead, *sheet.lines[start:filled], *tail]))
        lead = rest
    return _Parts(head, sections, [*lead, *sheet.lines[sheet.foot :]])


def _header(lines: list[Line]) -> tuple[list[Line], list[Line]]:
    """What stays at the top, and the comment that stands directly above the first section."""
    begin = len(lines)
    while begin and lines[begin - 1].kind == COMMENT:
        begin -= 1
    if begin < len(lines) and lines[begin].text.lstrip().startswith(MODELINE):
        begin = len(lines)
    return lines[:begin], lines[begin:]


def _tail(lines: list[Line], last: bool) -> tuple[list[Line], list[Line]]:
    """Comments and empty lines below a section: what belongs to it, and what belongs to the next one, or to the end.

    To it belongs what is indented, and a comment that stands directly below it and not directly above the next one.
    """
    own = max((n for n, line in enumerate(lines, 1) if line.kind == COMMENT and line.indent), default=0)
    block = own
    while block < len(lines) and lines[block].kind == COMMENT:
        block += 1
    own = block if block < len(lines) and not last else own
    return lines[:own], lines[own:]


def _joined(parts: _Parts, sections: Sequence[list[Line]], moved: bool) -> Iterator[Line]:
    """All lines, with one empty line between the parts.

    moved  the section that the foot stood under has gone elsewhere
    """
    head, foot = list(_spaced(parts.head)), list(_spaced(parts.foot))
    yield from head
    apart = bool(head) and (head[-1].kind == COMMENT or parts.head[-1].kind == BLANK)
    for section in sections:
        lines = list(_spaced(section))
        yield from [Line("")] if apart else []
        yield from lines
        apart = not lines[-1].sealed
    spaced = bool(foot) and (parts.foot[0].kind == BLANK or (moved and foot[0].kind == COMMENT))
    yield from [Line("")] if spaced and apart else []
    yield from foot


def _spaced(lines: Sequence[Line]) -> Iterator[Line]:
    """Without empty lines at both ends, and at most one in a row."""
    blank = False
    begun = False
    for line in lines:
        if line.kind == BLANK:
            blank = begun
            continue
        if blank:
            yield Line("")
        yield line
        blank, begun = False, True


def _refuse_loss(text: str, written: str, comments: Sequence[str], path: Path) -> None:
    """Raises LmspecError if a value or a comment is not what it was."""
    before = documents.parsed(text, path)
    try:
        after = documents.parsed(written, path)
    except ProblemsFound as error:
        found = f"in the order of the flow it would not parse: {error.problems[0].found}"
        remedy = "write out what the alias means, or give the anchor to an earlier section"
        raise LmspecError(str(path), f"{found}; {INTACT}", remedy) from None
    wrong = next(_differing(before.values, after.values), None)
    if wrong is not None:
        found = f"in its new form {'.'.join(map(str, wrong)) or 'it'} would have another value"
        raise LmspecError(str(path), f"{found}; {INTACT}", "write that value in another way, and report this")
    lost = Counter(comments) - Counter(indentation.indented(written).comments)
    if lost:
        found = f"the comment '{next(iter(lost))}' would be lost"
        raise LmspecError(str(path), f"{found}; {INTACT}", "move the comment, and report this")


def _differing(one: Any, two: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of the values that are not the same: 1, 1.0 and true are three."""
    if type(one) is not type(two):
        yield steps
    elif isinstance(one, Mapping):
        if list(map(repr, one)) != list(map(repr, two)) if steps else set(map(repr, one)) != set(map(repr, two)):
            yield steps
        else:
            for key in one:
                yield from _differing(one[key], two[key], (*steps, key))
    elif isinstance(one, list):
        if len(one) != len(two):
            yield steps
        for i, (a, b) in enumerate(zip(one, two, strict=False)):
            yield from _differing(a, b, (*steps, i))
    elif repr(one) != repr(two):
        yield steps
