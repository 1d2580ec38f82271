"""syntax: messages of the YAML parser, at the place of the mistake."""

import re

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmspec.language.problems import Problem, Span

INDENT = re.compile("(?:- |[ \t])*")  # what follows the dash of a list item is indented by it too
STUCK = re.compile(r"\s*-[^\s-]")
OPEN = {
    "while parsing a block mapping": "the surrounding mapping begins here",
    "while parsing a block collection": "the surrounding list begins here",
    "while parsing a flow mapping": "the open brace",
    "while parsing a flow sequence": "the open bracket",
}
ADVICE = {
    "expected ','": "close the bracket or brace, or put a comma between the entries",
    "unexpected ':'": "a colon needs a space after it; quote a value that has one, such as a URL",
    "expected ':'": "a key needs a colon and a space after it",
    "end of stream": "close the quote or bracket",
    "escape": "use single quotes: a backslash is an ordinary character there",
    "tag handle": "remove it",
    "tab": "indent with spaces, not with tabs",
    "directive": "remove the line",
}


def problem(error: YAMLError, lines: list[str]) -> Problem:
    """The first mistake that the parser saw."""
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    message = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error)
    message = message.splitlines()[0]
    doing = str(getattr(error, "context", None) or "")
    noticed = Span(mark.line + 1, mark.column + 1) if mark else Span(1, 1)
    begun = Span(context.line + 1, context.column + 1) if context else None
    place = _within(noticed, lines)
    if "mapping values are not allowed" in message:
        place, advice = _colon(place, lines)
        return Problem("yaml", place, "YAML", message, advice)
    others = [(_within(begun, lines), OPEN[doing])] if begun and doing in OPEN else []
    comma = "expected ','" in message
    is_open = "expected ':'" in message or "end of stream" in message
    if begun and (is_open or (comma and begun.line < noticed.line)):
        others = [(place, "this cannot follow")] if comma and place == noticed else []
        place = begun  # the key without its colon; the bracket or quote that nothing closes
    known = (advice for words, advice in ADVICE.items() if words in f"{message} {doing}")
    advice = next(known, "") or _stray(place, lines)
    if lines[place.line - 1][: place.column - 1].strip() and not comma:
        others = []
    return Problem("yaml", place, "YAML", message, advice, tuple(others))


def _within(span: Span, lines: list[str]) -> Span:
    """The last character of the file for a place behind its end."""
    last = max((i for i, line in enumerate(lines, 1) if line.strip()), default=1)
    if span.line > last and lines:
        return Span(last, max(1, len(lines[last - 1].rstrip())))
    return span


def _colon(place: Span, lines: list[str]) -> tuple[Span, str]:
    """(place, advice) for the colon of a second `key: value` on a line."""
    line = lines[place.line - 1]
    indent = _indent(line)
    if ": " in line[: place.column - 1]:
        return place, "quote text that holds a colon and a space"
    earlier = enumerate(lines[: place.line - 1], 1)
    above = max((i for i, text in earlier if text.strip() and text.strip()[0] != "#"), default=0)
    text = lines[above - 1].rstrip() if above else ""
    if above and STUCK.match(text):
        return Span(above, _indent(text) + 1), "the dash of a list item needs a space after it"
    if above and _indent(text) == indent:
        return Span(above, indent + 1, len(text) - indent), ADVICE["expected ':'"]
    advice = "indent it like the line above, which has a value already"
    return Span(place.line, indent + 1, place.column - 1 - indent), advice


def _stray(place: Span, lines: list[str]) -> str:
    """Advice for something that does not fit what came before."""
    line = lines[place.line - 1]
    before, here = line[: place.column - 1], line[place.column - 1 : place.column + 1]
    if here[:1] == "\t":
        return ADVICE["tab"]
    if here[:1] in ("@", "`", "%"):
        return f"quote a value that begins with {here[:1]}"
    if before.strip():
        return "nothing may follow here: remove it, or quote the whole value"
    if here == "- ":
        return "a list item cannot be among fields: indent it like the items before it"
    return "indent it like its neighbours"


def _indent(line: str) -> int:
    match = INDENT.match(line)
    return match.end() if match else 0
