"""syntax: what the YAML parser says, at the place where the mistake probably is: a parser notices late."""

import re

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmspec.language.problems import Problem, Span

INDENT = re.compile(
    "(?:- |[ \t])*"
)  # what stands behind the sign of a list item is indented by that too
STUCK = re.compile(r"\s*-[^\s-]")
OPEN = {
    "while parsing a block mapping": "the mapping around it begins here",
    "while parsing a block collection": "the list around it begins here",
    "while parsing a flow mapping": "the brace that is open",
    "while parsing a flow sequence": "the bracket that is open",
}
ADVICE = {
    "expected ','": "close the bracket or brace, or put a comma between its parts",
    "unexpected ':'": "a colon is followed by a blank; put a value that holds one, such as a URL, into quotes",
    "expected ':'": "a key is followed by a colon and a blank",
    "end of stream": "close the quote or bracket",
    "escape": "use single quotes: a backslash stands for itself in them",
    "tag handle": "remove it",
    "tab": "indent with blanks, not with tabs",
    "directive": "remove the line",
}


def problem(error: YAMLError, lines: list[str]) -> Problem:
    """The first mistake that the parser saw."""
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    said = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(
        error
    ).splitlines()[0]
    doing = str(getattr(error, "context", None) or "")
    noticed = Span(mark.line + 1, mark.column + 1) if mark else Span(1, 1)
    place, begun = (
        within(noticed, lines),
        Span(context.line + 1, context.column + 1) if context else None,
    )
    others = [(within(begun, lines), OPEN[doing])] if begun and doing in OPEN else []
    if "mapping values are not allowed" in said:
        place, advice = _colon(place, lines)
        return Problem("yaml", place, "YAML", said, advice)
    if begun and (
        "expected ':'" in said
        or "end of stream" in said
        or ("expected ','" in said and begun.line < noticed.line)
    ):
        others = (
            [(place, "this cannot follow")] if "expected ','" in said and place == noticed else []
        )
        place = begun  # the key without its colon; the bracket or quote that nothing closes
    advice = next(
        (advice for words, advice in ADVICE.items() if words in f"{said} {doing}"), ""
    ) or _stray(place, lines)
    if lines[place.line - 1][: place.column - 1].strip() and "expected ','" not in said:
        others = []
    return Problem("yaml", place, "YAML", said, advice, tuple(others))


def within(span: Span, lines: list[str]) -> Span:
    """The last character of the file for a place behind its end."""
    last = max((i for i, line in enumerate(lines, 1) if line.strip()), default=1)
    if span.line > last and lines:
        return Span(last, max(1, len(lines[last - 1].rstrip())))
    return span


def _colon(place: Span, lines: list[str]) -> tuple[Span, str]:
    """(place, advice) for the colon of a second `key: value` where none may stand."""
    line = lines[place.line - 1]
    indent = _indent(line)
    if ": " in line[: place.column - 1]:
        return place, "put a text that holds a colon and a blank into quotes"
    above = max(
        (
            i
            for i in range(1, place.line)
            if lines[i - 1].strip() and lines[i - 1].strip()[0] != "#"
        ),
        default=0,
    )
    if above and STUCK.match(lines[above - 1]):
        return Span(
            above, _indent(lines[above - 1]) + 1
        ), "the sign of a list item is followed by a blank"
    if above and _indent(lines[above - 1]) == indent:
        text = lines[above - 1].rstrip()
        return Span(
            above, indent + 1, len(text) - indent
        ), "a key is followed by a colon and a blank"
    return Span(
        place.line, indent + 1, place.column - 1 - indent
    ), "indent it like the line above, which has a value already"


def _stray(place: Span, lines: list[str]) -> str:
    """Advice where something stands that does not fit what came before."""
    line = lines[place.line - 1]
    before, here = line[: place.column - 1], line[place.column - 1 : place.column + 1]
    if here[:1] == "\t":
        return ADVICE["tab"]
    if here[:1] in ("@", "`", "%"):
        return f"put a value that begins with {here[:1]} into quotes"
    if before.strip():
        return "nothing may follow here: remove it, or put the whole value into quotes"
    if here == "- ":
        return "a list item cannot stand among fields: indent it like the items before it"
    return "indent it like its neighbours"


def _indent(line: str) -> int:
    found = INDENT.match(line)
    return found.end() if found else 0
