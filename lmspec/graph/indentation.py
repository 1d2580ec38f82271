"""indentation: the lines of a YAML file, each at the column that its structure asks for: two blanks a level.

It moves lines and removes blanks, and writes no value anew: what a text or a number looks like stays as it was. The places
of all tokens come from the parser that reads params.yaml elsewhere too.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import tokens as kinds
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
from ruamel.yaml.tokens import Token

from lmspec.graph.problems import BREAK
from lmspec.graph.sheet import BLANK, COMMENT, TEXT, Line, Sheet

STEP = 2  # blanks a level
INDICATORS = (kinds.BlockEntryToken, kinds.KeyToken, kinds.ValueToken)
OPENING = (kinds.FlowMappingStartToken, kinds.FlowSequenceStartToken)
CLOSING = (kinds.FlowMappingEndToken, kinds.FlowSequenceEndToken)
COMPLETE = (kinds.ScalarToken, kinds.AliasToken, *CLOSING)
VALUES = (kinds.ScalarToken, kinds.AliasToken, kinds.AnchorToken, kinds.TagToken, *OPENING, *CLOSING)
HEADER = re.compile(r"[|>](?:(\d)[+-]?|[+-](\d)?)?")
SEPARATORS = ("\u2028", "\u2029")  # line ends of which YAML makes no LF
MOST_COLUMNS = 1 << 30


@dataclass(frozen=True, slots=True)
class _Level:
    """A block collection that is open: the column of its entries before and after.

    bare  a list whose dashes stand below the first letter of its key: for the parser no level of its own
    """

    old: int
    new: int
    mapping: bool = False
    bare: bool = False


def indented(text: str) -> Sheet:
    """The sheet of a text that parses as YAML.

    Levels of block collections are two blanks apart, one blank follows a dash, brackets on one line enclose no blanks, and
    no line ends in blanks. Quoted strings stay as they are; block strings, the further lines of flow collections and
    comments keep their looks, and move with what they belong to.
    """
    indenter = _Indenter(text)
    for token in _tokens(text):
        if token.start_mark.index == token.end_mark.index:
            indenter.structure(token)
        else:
            indenter.written(token)
    return indenter.finished()


def _tokens(text: str) -> Iterator[Token]:
    parser = CParser(text)
    while parser.check_token():
        yield parser.get_token()


class _Indenter:
    """Takes the tokens in the order of the text, and settles the lines up to each."""

    def __init__(self, text: str) -> None:
        pieces = re.split(f"({BREAK.pattern})", text)
        self.lines = [Line(line, end) for line, end in zip(pieces[::2], [*pieces[1::2], ""], strict=True)]
        self.sheet = Sheet(self.lines, foot=len(self.lines))
        self.levels: list[_Level] = []
        self.before: tuple[_Level, ...] = ()  # levels that were open at the last token
        self.last: Token | None = None
        self.last_was_first = False  # of its line
        self.reached = (0, 0)  # line and column behind the last token
        self.at_key = self.naming = False
        self.flow = self.shift = 0  # brackets that are open; by how much the outermost one moved
        self.aside = (-1, 0, 0)  # a comment behind text: its line, its column before and after

    def structure(self, token: Token) -> None:
        """Take a token that is not written: a collection begins or ends, a key begins."""
        if isinstance(token, kinds.BlockMappingStartToken | kinds.BlockSequenceStartToken):
            new = self.levels[-1].new + STEP if self.levels else 0
            self.levels.append(_Level(token.start_mark.column, new, isinstance(token, kinds.BlockMappingStartToken)))
        elif isinstance(token, kinds.BlockEndToken):
            self._leave_bare()
            self.levels.pop()
        elif isinstance(token, kinds.KeyToken) and not self.flow:
            self._begin_key(token)

    def _begin_key(self, token: Token) -> None:
        self._leave_bare()
        self.at_key = True
        if len(self.levels) == 1:
            self.sheet.sections.append((token.start_mark.line, ""))
            self.naming = True

    def _leave_bare(self) -> None:
        if self.levels and self.levels[-1].bare:
            self.levels.pop()

    def written(self, token: Token) -> None:
        """Take a token of the text: settle what is between the one before and it, and the lines that it goes on for."""
        n, column = token.start_mark.line, token.start_mark.column
        if isinstance(token, kinds.KeyToken) and not self.flow:
            self._begin_key(token)
        if isinstance(token, kinds.BlockEntryToken) and self.levels[-1].mapping:
            self.levels.append(_Level(column, self.levels[-1].new + STEP, bare=True))
        line, first = self.lines[n], n > self.reached[0] or self.reached[1] == 0
        new = self._column(token) if first else line.moved(column)
        self._gap(n, column, new)
        line.kind = TEXT
        if first:
            line.indent = new
        else:
            self._tighten(token)
        self._brackets(token)
        if isinstance(token, kinds.ScalarToken):
            self._scalar(token)
        elif isinstance(token, kinds.DocumentEndToken):
            self.sheet.foot = n
        self.last, self.last_was_first, self.at_key, self.before = token, first, False, tuple(self.levels)
        self.reached = token.end_mark.line, token.end_mark.column

    def _column(self, token: Token) -> int:
        """Where the first token of a line is to stand."""
        if not self.levels:
            return 0
        own = self.levels[-1].new
        if self.flow:
            return self._inside(token.start_mark.column, closing=self.flow == 1 and isinstance(token, CLOSING))
        return own if self.at_key or isinstance(token, INDICATORS) else own + STEP

    def _inside(self, column: int, closing: bool = False) -> int:
        """Where a further line of a flow collection is to stand."""
        own = self.levels[-1].new if self.levels else 0
        return max(column + self.shift, own if closing else own + STEP)

    def _gap(self, until: int, column: int | None, new: int | None) -> None:
        """Settle comments and empty lines up to a token, which will stand at column `new`; None: up to the end."""
        start, behind = self.reached
        for n in range(start, until + 1):
            line, begin = self.lines[n], behind if n == start else 0
            part = line.text[begin : column if n == until else None]
            at = part.find("#")
            if at >= 0:
                self.sheet.comments.append(part[at:].rstrip())
            if at >= 0 and begin:
                self.aside = n, begin + at, line.moved(begin + at)
            elif at >= 0:
                line.kind = TEXT if self.flow else COMMENT
                line.indent = self._inside(at) if self.flow else self._comment(n, begin + at, column, new)
            elif self.flow and start < n < until:
                line.kind = TEXT

    def _comment(self, n: int, column: int, below: int | None, new: int | None) -> int:
        """Where a comment on its own line is to stand: with what stands at the same column.

        below, new  columns of the text below it, before and after
        """
        if below is not None and new is not None and column == below:
            return new
        if self.aside[:2] == (n - 1, column):
            self.aside = n, column, self.aside[2]
            return self.aside[2]
        for level in self.before:
            if level.old == column:
                return level.new
        outer = [level for level in self.before if level.old < column]
        if below is not None and new is not None and column > below > (outer[-1].old if outer else -1):
            return new
        if not outer:
            return 0
        text = isinstance(self.last, kinds.ScalarToken) and self.last.style in ("|", ">")  # it would take in the comment
        return outer[-1].new + (0 if text and outer[-1] is self.before[-1] else STEP)

    def _tighten(self, token: Token) -> None:
        """One blank behind a dash, none inside of brackets."""
        begin, end = self.reached[1], token.start_mark.column
        if self.flow:
            opened = isinstance(self.last, OPENING) and isinstance(token, VALUES)
            tight = opened or (isinstance(self.last, COMPLETE) and isinstance(token, CLOSING))
        else:
            tight = isinstance(self.last, INDICATORS) and (self.last_was_first or not isinstance(self.last, kinds.ValueToken))
            begin += 1
        if tight and begin < end:
            self.lines[token.start_mark.line].cuts.append((begin, end))

    def _brackets(self, token: Token) -> None:
        if isinstance(token, OPENING):
            if not self.flow:
                column = token.start_mark.column
                self.shift = self.lines[token.start_mark.line].moved(column) - column
            self.flow += 1
        elif isinstance(token, CLOSING):
            self.flow -= 1

    def _scalar(self, token: kinds.ScalarToken) -> None:
        """A value, or a key: the lines that it goes on for."""
        if self.naming:
            self.sheet.sections[-1] = (self.sheet.sections[-1][0], token.value)
            self.naming = False
        if token.style in ("|", ">"):
            self._block(token)
            return
        n, column = token.start_mark.line, token.start_mark.column
        quoted = token.style in ("'", '"')
        shift = self.lines[n].moved(column) - column
        lowest = self.levels[-1].new + 1 if self.levels else 0
        for before, line in itertools.pairwise(self.lines[n : token.end_mark.line + 1]):
            before.open, line.kind = quoted, TEXT
            if not quoted and line.text.strip(" \t"):
                line.indent = max(line.column + shift, lowest)

    def _block(self, token: kinds.ScalarToken) -> None:
        """A block string: its lines move together."""
        head, column = self.lines[token.start_mark.line], token.start_mark.column
        mark = HEADER.match(head.text, column)
        assert mark is not None
        if "#" in head.text[mark.end() :]:
            self.sheet.comments.append(head.text[mark.end() :].strip())
        digit, keep = int(mark[1] or mark[2] or 0), "+" in mark[0]
        end = token.end_mark
        lines = self.lines[token.start_mark.line + 1 : end.line + (end.column > 0)]
        parent = next(level for level in reversed(self.levels) if not level.bare)
        columns = [len(line.text) - len(line.text.lstrip(" ")) for line in lines if line.text.strip(" ")]
        old = parent.old + digit if digit else (columns or [MOST_COLUMNS])[0]
        new = self.levels[-1].new + (digit or STEP)
        while lines and not lines[-1].text[old:] and not lines[-1].text.strip(" ") and not (keep and lines[-1].end):
            lines.pop()
        for line in lines:
            body = line.text[old:]
            line.text, line.kind, line.open = " " * new + body if body else "", TEXT, True
        if lines and not lines[-1].end:  # the line end that it gets must not become a part of the value
            head.text = f"{head.text[:column]}{mark[0][0]}{digit or ''}-{head.text[mark.end() :]}"
        elif lines and keep:
            lines[-1].sealed = True

    def finished(self) -> Sheet:
        """The sheet, when all tokens are taken."""
        self._gap(len(self.lines) - 1, None, None)
        if self.lines[-1].kind == BLANK:
            self.lines.pop()
        for line in self.lines:
            line.end = line.end if line.end in SEPARATORS else "\n"
        return self.sheet
