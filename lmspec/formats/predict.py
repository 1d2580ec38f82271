"""predict: labels and probabilities from a bundle. Its packages: `pip install -r requirements.txt`.

python predict.py "A text." "Another one."
python predict.py < texts.txt                            one text a line
python predict.py --csv reviews.csv --text review        the table, with two columns more
python predict.py --jsonl reviews.jsonl --text review    the objects, with two fields more

Each text has one answer, in order; a text of white space alone has an empty one. Exit status: 0;
1 if the input cannot be read on, or a file of the bundle is not the one that was built (standard
error says where); 2 for wrong arguments; 3 if every text has its answer, and some had bytes that
are not UTF-8, read as U+FFFD (standard error: the lines).
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TextIO

import numpy as np
import onnxruntime

from lmspec.formats.manifest import Damaged, checked
from lmspec.methods.ngrams import tokenizer
from lmspec.methods.reading import Ids, Reader, Windows, predicted
from lmspec.methods.repairing import repair

Answer = dict[str, float]  # label -> probability, the most probable first
PREDICTED, CONFIDENCE, PROBABILITY = "predicted", "confidence", "probability"
CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029]+"
)  # which break a line, or drive a terminal
SURROGATES = re.compile("[\ud800-\udfff]")
NOTES_SHOWN = 10
GRAPH, TOKENIZER, ABOUT = DATA = ("model.onnx", "tokenizer.json", "lmspec.json")


class Classifier:
    """A bundle, loaded once. Threads may share it.

    folder   holds model.onnx, tokenizer.json and lmspec.json
    threads  that a prediction uses
    check    hash the files, and raise Damaged unless they are those of manifest.json
    labels   in the order of the model's outputs
    reader   what it reads of a text
    """

    labels: list[str]
    max_length: int | None  # tokens that are read at once; None if it reads n-grams alone

    def __init__(self, folder: Path | str, threads: int = 1, check: bool = True) -> None:
        folder = Path(folder)
        if check:
            checked(folder, DATA)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        self.labels = about["labels"]
        self._pad_id: int = about["pad_id"]
        self._clean: Mapping[str, bool] = about["clean"]
        self._session = onnxruntime.InferenceSession(
            str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
        )
        self.reader = Reader(tokenizer(folder / TOKENIZER), about["long_texts"])
        self.max_length = self.reader.max_length

    def predict(self, text: str) -> Answer:
        """The probability of each label, the most probable first.

        Empty for a text of white space alone: there is nothing to read.
        """
        return self.predict_many([text])[0]

    def predict_many(self, texts: Iterable[str], batch_size: int = 1) -> list[Answer]:
        """The answer to each text, in order.

        batch_size  texts, or windows of long ones, at a time. With more than one, an int8 model's
                    probabilities change a little with the company that a text is in.
        """
        cleaned = [self.clean(text) for text in texts]
        answers: list[Answer] = [{} for _ in cleaned]
        readable = [i for i, text in enumerate(cleaned) if text]
        if not readable:
            return answers
        windows = self.reader.read([cleaned[i] for i in readable])
        for i, answer in zip(readable, self.answers(windows, batch_size), strict=True):
            answers[i] = answer
        return answers

    def answers(self, windows: Windows, batch_size: int = 1) -> list[Answer]:
        """The answer to each text, of which the reader gave these windows."""
        rows = predicted(self._logits, windows, self._pad_id, batch_size)  # (n, k)
        return [
            dict(sorted(zip(self.labels, row, strict=True), key=lambda one: -one[1]))
            for row in rows.tolist()
        ]

    def clean(self, text: str) -> str:
        """The text as the corpus repaired those that the model was trained on."""
        if SURROGATES.search(text):  # no UTF-8: halves of pairs, as JSON can escape them
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return repair(text, **self._clean)

    def _logits(self, input_ids: Ids, attention_mask: Ids) -> Any:
        """input_ids, attention_mask (b, t) -> logits (b, k)."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return np.asarray(self._session.run(None, inputs)[0], np.float32)


class Unreadable(Exception):
    """An input that cannot be read on: what was found where, and what to do."""


class Notes:
    """Says on standard error which lines had bytes that are not UTF-8."""

    def __init__(self) -> None:
        self.lines = 0

    def whole(self, text: str, line: int) -> str:
        """The text, with U+FFFD for each part that did not decode."""
        if not SURROGATES.search(text):
            return text
        self.lines += 1
        if self.lines <= NOTES_SHOWN:
            tell(f"line {line} has bytes that are not UTF-8, read as U+FFFD")
        elif self.lines == NOTES_SHOWN + 1:
            tell("more such lines are not listed")
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Row(NamedTuple):
    """A text, and what its form needs to write the answer beside."""

    text: str
    origin: Any


class Form(Protocol):
    """How texts come and answers go."""

    def read(self) -> Iterator[Row]:
        """Every row of the input. Raises Unreadable."""

    def write(self, row: Row, answer: Answer) -> None:
        """The answer to a row."""


class Lines:
    """Texts of the command line, or one a line; answers as lines of label, probability and text."""

    def __init__(self, texts: Iterable[str], top: int, out: TextIO) -> None:
        self.texts, self.top, self.out = texts, top, out

    def read(self) -> Iterator[Row]:
        """Each text."""
        return (Row(text, None) for text in self.texts)

    def write(self, row: Row, answer: Answer) -> None:
        """One line, whatever the text holds."""
        best = itertools.islice(answer.items(), self.top)
        shown = [part for label, p in best for part in (label, f"{p:.4f}")]
        shown = shown or [""] * 2 * self.top
        print("\t".join(CONTROLS.sub(" ", part) for part in (*shown, row.text)), file=self.out)


class Csv:
    """A table with a header; the answers are further columns of the same rows."""

    def __init__(
        self,
        stream: TextIO,
        column: str,
        delimiter: str,
        labels: Sequence[str],
        top: int,
        probabilities: bool,
        notes: Notes,
        out: TextIO,
    ) -> None:
        csv.field_size_limit(2**31 - 1)
        self.notes, self.top, self.labels = notes, top, labels if probabilities else ()
        # strict: else a quote that is not closed makes one text of the rest of the file
        self.rows = csv.reader(stream, delimiter=delimiter, strict=True)
        self.writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        self.header = next(self._parsed(), [])
        if self.header.count(column) != 1:
            many = "two columns" if column in self.header else "no column"
            see = "--text" if len(self.header) > 1 else "--text, --delimiter"
            raise Unreadable(f"it has {many} {column!r}: its columns are {self.header}; see {see}")
        self.at = self.header.index(column)
        names = [
            f"{name}{'' if n == 1 else f'_{n}'}"
            for n in range(1, top + 1)
            for name in (PREDICTED, CONFIDENCE)
        ]
        names += [f"{PROBABILITY}_{label}" for label in self.labels]
        for name in set(names) & set(self.header):
            raise Unreadable(f"it has a column {name!r} already: rename it")
        self.writer.writerow([*self.header, *names])

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

    def write(self, row: Row, answer: Answer) -> None:
        """The row, and its answer."""
        best = list(answer.items())[: self.top]
        cells = [part for label, p in best for part in (label, f"{p:.6f}")]
        cells += [""] * (2 * self.top - len(cells))
        cells += [f"{answer[label]:.6f}" if answer else "" for label in self.labels]
        self.writer.writerow([*row.origin, *cells])

    def _parsed(self) -> Iterator[list[str]]:
        try:
            for cells in self.rows:
                yield [self.notes.whole(cell, self.rows.line_num) for cell in cells]
        except csv.Error as error:
            raise Unreadable(f"line {self.rows.line_num}: {error}") from None


class Jsonl:
    """One JSON object a line; the answers are further fields."""

    def __init__(
        self, stream: TextIO, field: str, top: int, all_labels: bool, notes: Notes, out: TextIO
    ) -> None:
        self.stream, self.field, self.notes, self.out = stream, field, notes, out
        self.top = None if all_labels else top

    def read(self) -> Iterator[Row]:
        """Each object; empty lines are none."""
        for number, line in enumerate(self.stream, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(self.notes.whole(line, number))
            except ValueError as error:
                raise Unreadable(f"line {number} is not JSON: {error}") from None
            if not isinstance(values, dict) or self.field not in values:
                found = f"fields {list(values)}" if isinstance(values, dict) else "no object"
                raise Unreadable(f"line {number} has {found}, and no {self.field!r}; see --text")
            text = values[self.field]
            if isinstance(text, (dict, list, bool)):
                raise Unreadable(f"line {number}: its {self.field!r} is not a text")
            for name in {PREDICTED, CONFIDENCE, "probabilities"} & values.keys():
                raise Unreadable(f"line {number} has a field {name!r} already: rename it")
            yield Row("" if text is None else str(text), values)

    def write(self, row: Row, answer: Answer) -> None:
        """The object, and its answer; null without one."""
        label, confidence = next(iter(answer.items()), (None, None))
        values = {**row.origin, PREDICTED: label, CONFIDENCE: confidence and round(confidence, 6)}
        if self.top != 1:
            best = itertools.islice(answer.items(), self.top)
            values["probabilities"] = {label: round(p, 6) for label, p in best}
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


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="*", help="without any, one a line on standard input")
    parser.add_argument("--csv", metavar="FILE", help="a table with a header line; - for stdin")
    parser.add_argument("--jsonl", metavar="FILE", help="a JSON object a line; - for stdin")
    parser.add_argument("--text", metavar="COLUMN", default="text", help="column or field to read")
    parser.add_argument("--delimiter", metavar="CHAR", help="of the table; , or, in a .tsv, tab")
    parser.add_argument("--output", metavar="FILE", help="instead of standard output; UTF-8")
    parser.add_argument("--top", metavar="K", type=_positive, default=1, help="the K best labels")
    parser.add_argument("--probabilities", action="store_true", help="of every label")
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=_positive,
        default=1,
        help="texts at a time: faster, but in int8 those of a batch change each other a little",
    )
    parser.add_argument("--threads", metavar="N", type=_positive, default=1)
    options = parser.parse_args(given)
    if bool(options.texts) + bool(options.csv) + bool(options.jsonl) > 1:
        parser.error("give texts, or --csv, or --jsonl")
    if options.delimiter and len(options.delimiter) != 1:
        parser.error("--delimiter is one character")
    if not (options.texts or options.csv or options.jsonl) and sys.stdin.isatty():
        parser.error("give texts, or lines on standard input")
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1, and is {text!r}")
    return int(text)


def form_of(options: argparse.Namespace, classifier: Classifier, notes: Notes, out: TextIO) -> Form:
    """What the arguments ask for. Raises Unreadable, or OSError."""
    top = min(options.top, len(classifier.labels))
    name = options.csv or options.jsonl or "-"
    if options.texts:
        return Lines(options.texts, len(classifier.labels) if options.probabilities else top, out)
    stream = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115
    if options.csv:
        delimiter = options.delimiter or ("\t" if name.lower().endswith(".tsv") else ",")
        return Csv(
            decoded(stream, ""),
            options.text,
            delimiter,
            classifier.labels,
            top,
            options.probabilities,
            notes,
            out,
        )
    text = decoded(stream, None)
    if options.jsonl:
        return Jsonl(text, options.text, top, options.probabilities, notes, out)
    top = len(classifier.labels) if options.probabilities else top
    return Lines(lines(text, notes), top, out)


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


def main(given: Sequence[str] | None = None) -> int:
    """Answer each text. Returns the exit status."""
    options = arguments(given)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    notes = Notes()
    try:
        classifier = Classifier(Path(__file__).parent, options.threads)
    except Damaged as error:
        tell(str(error))
        return 1
    try:
        out = output(options)
        form = form_of(options, classifier, notes, out)
        rows = form.read()
        size = 1 if options.batch_size == 1 else 32 * options.batch_size  # of them sorted by length
        while chunk := list(itertools.islice(rows, size)):
            answers = classifier.predict_many([row.text for row in chunk], options.batch_size)
            for row, answer in zip(chunk, answers, strict=True):
                form.write(row, answer)
            out.flush()
    except BrokenPipeError:  # as `| head` leaves; else Python complains when it closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Unreadable, OSError, UnicodeError) as error:
        tell(f"{options.csv or options.jsonl or 'standard input'}: {error}")
        return 1
    return 3 if notes.lines else 0


if __name__ == "__main__":
    sys.exit(main())
