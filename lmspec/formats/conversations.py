"""conversations: one split as a model that writes takes it: token ids, and which are learned."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.methods import packing
from lmspec.methods.coverage import percent
from lmspec.methods.reading import Ids
from lmspec.writing.prompting import PLAIN, PromptError, TooLong, Turn, Writer

ROWS = 6  # number of its stream of draws
MOST_SHOWN = 1000  # characters of a turn


@dataclass(frozen=True)
class Conversations:
    """n rows.

    ids         token ids of each of w examples: one of a conversation, or windows of a plain text
    learned     which of them are learned: 1, else 0
    of_row      (w,) position of each example's row, ascending
    documents   columns id, table and group of the n rows
    tokens      (n,) of a row that is left out since it is too long; 0 of the others
    cut         how many rows have a prompt that is read in part
    text_bytes  UTF-8 bytes of the text that is learned
    first       pieces of the first row as the model sees it, and whether they are learned
    """

    ids: packing.Packed
    learned: packing.Packed
    of_row: Ids
    documents: pl.DataFrame
    tokens: Ids
    cut: int
    text_bytes: int
    first: Sequence[tuple[str, bool]]

    @functools.cached_property
    def weight(self) -> Ids:
        """(w,) learned tokens of each example."""
        return np.asarray([int(row.sum()) for row in self.learned], np.int64)

    @property
    def metrics(self) -> dict[str, int]:
        """What is learned from: rows, those left out and those with a cut prompt, and tokens."""
        left_out = int((self.tokens > 0).sum())
        return {
            "rows": len(self.tokens) - left_out,
            "left_out": left_out,
            "cut": self.cut,
            "tokens": int(self.ids.lengths.sum()),
            "learned_tokens": int(self.weight.sum()),
        }

    def named(self, examples: Ids) -> list[str]:
        """Ids of the rows that some examples are of, each once."""
        rows = dict.fromkeys(self.of_row[examples].tolist())
        return [str(self.documents["id"][row]) for row in rows]

    def described(self, split: str, writer: Writer) -> Iterator[str]:
        """Lines for people: how much is learned, what is left out, and the first row as it is read:
        what is not learned is in brackets."""
        counts = self.metrics
        share = percent(counts["learned_tokens"] / counts["tokens"])
        yield (
            f"{split}: {counts['rows']:,} rows, {counts['tokens']:,} tokens, of which {share} are"
            " learned"
        )
        if counts["left_out"]:
            worst = int(self.tokens.argmax())
            yield (
                f"{split}: {counts['left_out']:,} rows are longer than {writer.max_length} tokens"
                f" and are left out, the longest with {self.tokens[worst]:,}:"
                f" {self.documents['id'][worst]}"
            )
        if counts["cut"]:
            yield f"{split}: of {counts['cut']:,} rows the beginning of the prompt is left out"
        shown = "".join(text if learned else f"[{text}]" for text, learned in self.first)
        yield f"{split}: the first, with what is not learned in brackets: {shown!r}"


class Turns(Iterable[list[Turn]]):
    """Conversations of one split, in its order: read part by part, each time they are gone through.

    Raises LmspecError if its rows are none.
    """

    def __init__(self, splits: Path, split: str) -> None:
        self.table = pl.scan_parquet(splits / f"{split}.parquet")
        if "turns" not in self.table.collect_schema():
            found = f"the rows of its {split} split are texts, without prompts and answers"
            remedy = "say where they are: `turns` of the corpus's tables"
            raise LmspecError(str(splits), found, remedy)

    def __iter__(self) -> Iterator[list[Turn]]:
        start, turns = 0, self.table.select("turns")
        while part := turns.slice(start, documents.GROUP).collect()["turns"].to_list():
            for row in part:
                yield [(turn["role"], turn["content"]) for turn in row]
            start += len(part)


def read(
    splits: Path, split: str, writer: Writer, rows: int | None = None, seed: int = 0
) -> Conversations:
    """Read and encode one split.

    rows  that many, drawn by the seed; all without it
    Raises LmspecError if there are none, all are too long, or one does not suit the template.
    """
    return read_some(splits, split, writer, lambda count: drawn(count, rows, seed))


def read_some(
    splits: Path, split: str, writer: Writer, choose: Callable[[int], Ids]
) -> Conversations:
    """The same of other rows. choose: their number -> positions of those that are read,
    ascending."""
    frame = documents.read_split(splits, split, ["id", "table", "group"])
    chosen = choose(len(frame))
    frame = frame[chosen]
    texts: Iterable[Any] = (
        documents.Texts(splits, split) if writer.kind == PLAIN else Turns(splits, split)
    )
    reading = _Reading(writer, frame["id"].to_list())
    ids = packing.packed(reading.windows(_picked(texts, chosen)))
    if not len(ids):
        which = f"all of its {len(frame):,} {split} rows are longer than {writer.max_length} tokens"
        found = which if len(frame) else f"its {split} split is empty"
        remedy = "raise max_length" if len(frame) else f"give `{split}` a fraction above 0"
        raise LmspecError(str(splits), found, remedy)
    flags = np.frombuffer(reading.flags, np.int8)
    return Conversations(
        ids,
        packing.Packed(flags, ids.first, ids.lengths),
        np.asarray(reading.of_row, np.int64),
        frame,
        np.asarray(reading.tokens, np.int64),
        reading.cut,
        reading.text_bytes,
        reading.first,
    )


def together(parts: Sequence[Conversations]) -> Conversations:
    """The rows of several, in order."""
    offsets = np.cumsum([0, *(len(part.tokens) for part in parts)])
    return Conversations(
        packing.packed(itertools.chain.from_iterable(part.ids for part in parts)),
        packing.packed(itertools.chain.from_iterable(part.learned for part in parts), np.int8),
        np.concatenate([part.of_row + n for part, n in zip(parts, offsets, strict=False)]),
        pl.concat([part.documents for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        sum(part.cut for part in parts),
        sum(part.text_bytes for part in parts),
        parts[0].first,
    )


def read_turns(
    splits: Path, split: str, rows: int | None = None, seed: int = 0
) -> Iterator[list[Turn]]:
    """The conversations of one split as they are, in its order; or some of them, as `read` has."""
    count = len(documents.read_split(splits, split, ["id"]))
    if not count:
        raise LmspecError(str(splits), f"its {split} split is empty", "give it a fraction above 0")
    yield from _picked(Turns(splits, split), drawn(count, rows, seed))


def drawn(count: int, rows: int | None, seed: int) -> Ids:
    """Positions of so many of the rows, ascending; of all if there are not more."""
    if rows is None or rows >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, ROWS]).permutation(count)[:rows])


def _picked(values: Iterable[Any], places: Ids) -> Iterator[Any]:
    """Those at these ascending places."""
    wanted = iter(places.tolist())
    place = next(wanted, None)
    for number, value in enumerate(values):
        if number == place:
            yield value
            place = next(wanted, None)
        if place is None:
            return


class _Reading:
    """Rows, encoded one after the other."""

    def __init__(self, writer: Writer, names: Sequence[str]) -> None:
        self.writer, self.names = writer, names
        self.of_row: list[int] = []
        self.tokens: list[int] = []
        self.flags = bytearray()
        self.cut = self.text_bytes = 0
        self.first: list[tuple[str, bool]] = []

    def windows(self, rows: Iterable[Any]) -> Iterator[Ids]:
        """Ids of each example. Raises LmspecError as `read` does."""
        encode = self._text if self.writer.kind == PLAIN else self._conversation
        for number, row in enumerate(rows):
            before = len(self.of_row)
            self.tokens.append(0)
            for ids, learned in encode(number, row):
                if not learned.any():
                    if len(ids) > 1:
                        raise self._error(number, "nothing of it is learned", "look at its answer")
                    continue  # a text without a token
                self.of_row.append(number)
                self.flags += learned.astype(np.int8).tobytes()
                yield ids
            if not self.first and len(self.of_row) > before:
                self.first = self._shown(row)

    def _conversation(self, number: int, turns: Sequence[Turn]) -> Iterator[tuple[Ids, Any]]:
        try:
            example = self.writer.example(turns)
            is_cut = self.writer.is_cut(turns)
        except PromptError as error:
            raise self._error(number, error.found, error.remedy) from error
        if isinstance(example, TooLong):
            self.tokens[number] = example.tokens
            return
        self.cut += is_cut
        every = self.writer.prompt.get("learn") == "every_answer"
        answers = [content for role, content in turns if role == "assistant"]
        self.text_bytes += sum(len(text.encode()) for text in (answers if every else answers[-1:]))
        yield example

    def _text(self, _: int, text: str) -> Iterator[tuple[Ids, Any]]:
        self.text_bytes += len(text.encode())
        yield from self.writer.windows(text)

    def _shown(self, row: Any) -> list[tuple[str, bool]]:
        pieces = self.writer.shown([("user", row)] if self.writer.kind == PLAIN else row)
        return [(f"{t[:MOST_SHOWN]}…" if len(t) > MOST_SHOWN else t, own) for t, own in pieces]

    def _error(self, number: int, found: str, remedy: str) -> LmspecError:
        return LmspecError(f"row {self.names[number]}", found, remedy)
