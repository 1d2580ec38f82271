"""predict_forms: how the texts of predict.py come, and how its answers go.

A bundle has a copy of this file, so it imports nothing of lmspec.

Texts of the command line, lines, tables and objects; each has one answer, in order.
"""

import argparse
import codecs
import csv
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TextIO

CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029]+"
)  # which break a line, or drive a terminal
SURROGATES = re.compile("[\ud800-\udfff]")
NOTES_SHOWN = 10
DONE, STOPPED, NOTED = 0, 1, 3  # exit statuses


class Layout(Protocol):
    """How an answer is written.

    columns  of a table, beside its own
    fields   of an object, beside its own
    """

    @property
    def columns(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def fields(self) -> Collection[str]: ...  # noqa: D102

    def text(self, value: Any) -> Any:
        """What is answered, of a value of an object that is not null. Raises ValueError."""

    def cells(self, answer: Any) -> Sequence[str]:
        """One for each column."""

    def values(self, answer: Any) -> dict[str, Any]:
        """By field."""

    def line(self, text: str, answer: Any) -> str:
        """One line, whatever both hold."""


class Unreadable(Exception):
    """An input that cannot be read on: what was found where, and what to do."""


class Notes:
    """Says on standard error which lines had bytes that are not UTF-8.

    count  of these, and of what `add` says
    """

    def __init__(self) -> None:
        self.count = 0

    def whole(self, text: str, line: int) -> str:
        """The text, with U+FFFD for each part that did not decode."""
        if not SURROGATES.search(text):
            return text
        self.add(f"line {line} has bytes that are not UTF-8, read as U+FFFD")
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def add(self, line: str) -> None:
        """Say something of one text."""
        self.count += 1
        if self.count <= NOTES_SHOWN:
            tell(line)
        elif self.count == NOTES_SHOWN + 1:
            tell("more such lines are not listed")


class Row(NamedTuple):
    """A text, and what its form needs to write the answer beside."""

    text: Any
    origin: Any


class Form(Protocol):
    """How texts come and answers go."""

    def read(self) -> Iterator[Row]:
        """Every row of the input. Raises Unreadable."""

    def write(self, row: Row, answer: Any) -> None:
        """The answer to a row."""


class Lines:
    """Texts of the command line, or one a line; a line for each answer."""

    def __init__(self, texts: Iterable[str], layout: Layout, out: TextIO) -> None:
        self.texts, self.layout, self.out = texts, layout, out

    def read(self) -> Iterator[Row]:
        """Each text."""
        return (Row(text, None) for text in self.texts)

    def write(self, row: Row, answer: Any) -> None:
        """One line, whatever the text holds."""
        print(self.layout.line(row.text, answer), file=self.out)


class Csv:
    """A table with a header; the answers are further columns of the same rows."""

    def __init__(
        self,
        stream: TextIO,
        column: str,
        delimiter: str,
        layout: Layout,
        notes: Notes,
        out: TextIO,
    ) -> None:
        csv.field_size_limit(2**31 - 1)
        self.notes, self.layout = notes, layout
        # strict: else a quote that is not closed makes one text of the rest of the file
        self.rows = csv.reader(stream, delimiter=delimiter, strict=True)
        self.writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        self.header = next(self._parsed(), [])
        if self.header.count(column) != 1:
            many = "two columns" if column in self.header else "no column"
            see = "--text" if len(self.header) > 1 else "--text, --delimiter"
            raise Unreadable(f"it has {many} {column!r}: its columns are {self.header}; see {see}")
        self.at = self.header.index(column)
        for name in set(layout.columns) & set(self.header):
            raise Unreadable(f"it has a column {name!r} already: rename it")
        self.writer.writerow([*self.header, *layout.columns])

    def read(self) -> Iterator[Row]:
        """Each row; empty lines are none."""
        for cells in self._parsed():
            if not cells and len(self.header) > 1:
                continue
            cells = cells or [""]
            if len(cells) != len(self.header):
                found = f"line {self.rows.line_num} ends a row of {len(cells)} fields"
                raise Unreadable(f"{found}, and the header has {len(self.header)}")
            yield Row(cells[self.at], cells)

    def write(self, row: Row, answer: Any) -> None:
        """The row, and its answer."""
        self.writer.writerow([*row.origin, *self.layout.cells(answer)])

    def _parsed(self) -> Iterator[list[str]]:
        try:
            for cells in self.rows:
                yield [self.notes.whole(cell, self.rows.line_num) for cell in cells]
        except csv.Error as error:
            raise Unreadable(f"line {self.rows.line_num}: {error}") from None


class Jsonl:
    """One JSON object a line; the answers are further fields."""

    def __init__(
        self, stream: TextIO, field: str, layout: Layout, notes: Notes, out: TextIO
    ) -> None:
        self.stream, self.field, self.notes, self.out = stream, field, notes, out
        self.layout = layout

    def read(self) -> Iterator[Row]:
        """Each object; empty lines are none."""
        for number, line in enumerate(self.stream, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(self.notes.whole(line, number))
            except (ValueError, RecursionError) as error:
                raise Unreadable(f"line {number} is not JSON: {error}") from None
            if not isinstance(values, dict) or self.field not in values:
                found = f"fields {list(values)}" if isinstance(values, dict) else "no object"
                raise Unreadable(f"line {number} has {found}, and no {self.field!r}; see --text")
            for name in {*self.layout.fields} & values.keys():
                raise Unreadable(f"line {number} has a field {name!r} already: rename it")
            value = values[self.field]
            try:
                text = "" if value is None else self.layout.text(value)
            except ValueError as error:
                raise Unreadable(f"line {number}: its {self.field!r} {error}") from None
            yield Row(text, values)

    def write(self, row: Row, answer: Any) -> None:
        """The object, and its answer; null without one."""
        values = {**row.origin, **self.layout.values(answer)}
        print(json.dumps(values, ensure_ascii=False), file=self.out)


def decoded(stream: BinaryIO, newline: str | None) -> TextIO:
    """UTF-8, or UTF-16 where it says so, without its mark; `Notes` finds what did not decode."""
    start = stream.peek(2)[:2] if isinstance(stream, io.BufferedReader) else b""
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return io.TextIOWrapper(stream, "utf-16", "surrogatepass", newline)
    return io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline)


def lines(stream: TextIO, notes: Notes) -> Iterator[str]:
    """Each line without its end, which may be LF, CR LF or CR."""
    for number, line in enumerate(stream, start=1):
        yield notes.whole(line.rstrip("\n"), number)


def tell(line: str) -> None:
    """Say something that is no answer."""
    print(f"predict.py: {line}", file=sys.stderr)


def add_arguments(parser: argparse.ArgumentParser, column: str) -> None:
    """Those that say where texts are and where answers go. column: the one to read."""
    parser.add_argument("texts", nargs="*", help="without any, one a line on standard input")
    parser.add_argument("--csv", metavar="FILE", help="a table with a header line; - for stdin")
    parser.add_argument("--jsonl", metavar="FILE", help="a JSON object a line; - for stdin")
    parser.add_argument("--text", metavar="COLUMN", default=column, help="column or field to read")
    parser.add_argument("--delimiter", metavar="CHAR", help="of the table; , or, in a .tsv, tab")
    parser.add_argument("--output", metavar="FILE", help="instead of standard output; UTF-8")
    parser.add_argument("--threads", metavar="N", type=positive, default=1)


def check_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit if they contradict each other, or nothing is given."""
    if bool(options.texts) + bool(options.csv) + bool(options.jsonl) > 1:
        parser.error("give texts, or --csv, or --jsonl")
    if options.delimiter and len(options.delimiter) != 1:
        parser.error("--delimiter is one character")
    if not (options.texts or options.csv or options.jsonl) and sys.stdin.isatty():
        parser.error("give texts, or lines on standard input")


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1, and is {text!r}")
    return int(text)


def answer_each(
    options: argparse.Namespace,
    layout: Layout,
    answer: Callable[[Sequence[Any]], Sequence[Any]],
    chunk: int,
    notes: Notes,
) -> int:
    """Answer each text, so many at a time. Returns the exit status."""
    try:
        out = output(options)
        form = form_of(options, layout, notes, out)
        rows = form.read()
        while part := list(itertools.islice(rows, chunk)):
            for row, each in zip(part, answer([row.text for row in part]), strict=True):
                form.write(row, each)
            out.flush()
    except BrokenPipeError:  # as `| head` leaves
        return closed()
    except (Unreadable, OSError, UnicodeError) as error:
        tell(f"{options.csv or options.jsonl or 'standard input'}: {error}")
        return STOPPED
    return NOTED if notes.count else DONE


def closed() -> int:
    """The exit status where no one reads on; Python would complain when it closes the stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return STOPPED


def form_of(options: argparse.Namespace, layout: Layout, notes: Notes, out: TextIO) -> Form:
    """What the arguments ask for. Raises Unreadable, or OSError."""
    name = options.csv or options.jsonl or "-"
    if options.texts:
        return Lines(options.texts, layout, out)
    stream = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115
    if options.csv:
        delimiter = options.delimiter or ("\t" if name.lower().endswith(".tsv") else ",")
        return Csv(decoded(stream, ""), options.text, delimiter, layout, notes, out)
    text = decoded(stream, None)
    if options.jsonl:
        return Jsonl(text, options.text, layout, notes, out)
    return Lines(lines(text, notes), layout, out)


def output(options: argparse.Namespace) -> TextIO:
    """Where answers go: tables in UTF-8, lines as the console has it, and never an error.

    Raises Unreadable if they would overwrite what is read, OSError.
    """
    if options.output:
        _require_another(options)
        return Path(options.output).open(
            "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        if options.csv or options.jsonl:
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        sys.stdout.reconfigure(errors="backslashreplace")
    return sys.stdout


def _require_another(options: argparse.Namespace) -> None:
    """Opening the output empties it, so it must not be the input, by any name."""
    name = options.csv or options.jsonl or "-"
    target = Path(options.output)
    if not options.texts and target.exists():
        source = os.fstat(sys.stdin.fileno()) if name == "-" else Path(name).stat()
        if os.path.samestat(source, target.stat()):
            raise Unreadable("--output is the file that is read: name another one")
