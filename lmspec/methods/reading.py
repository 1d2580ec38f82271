"""reading: texts -> what a model reads of them -> its probabilities, in training and in service.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

import itertools
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Forward = Callable[[Ids, Ids], NDArray[np.float32]]
Keep = Callable[[Iterator[Ids]], Sequence[Ids]]
ENCODED_AT_ONCE = 4096  # texts
OVERLAP = 8  # a window repeats an eighth of the one before, so that no phrase is only read in parts


@dataclass(frozen=True)
class Windows:
    """What a model reads of n texts: one window of each, or several of a long one.

    ids      token ids of each of w windows, with special tokens; those of a text in its order
    of_text  (w,) position of each window's text, ascending; each text has at least one
    tokens   (n,) the text's own tokens, without special ones
    unread   (n,) those of them that are in no window
    unknown  (n,) those of them that the vocabulary lacks; None of n-grams: it lacks most by design
    """

    ids: Sequence[Ids]
    of_text: Ids
    tokens: Ids
    unread: Ids
    unknown: Ids | None

    def places(self, text: int) -> range:
        """Where the windows of a text are."""
        first, end = np.searchsorted(self.of_text, (text, text + 1))
        return range(int(first), int(end))


@dataclass(frozen=True)
class Batch:
    """rows (b,) positions in the data; input_ids, attention_mask (b, t), padded on the right."""

    rows: Ids
    input_ids: Ids
    attention_mask: Ids


class Reader:
    """Encodes texts as the model was trained on them.

    tokenizer   its truncation says how many tokens are read at once; without any, all are. Of a
                hybrid model, n-grams of the whole text follow the tokens in each window; tokens
                alone are cut and counted
    long_texts  what is read of a longer text: `truncate` (its beginning), `head_tail` (the first
                half of what fits, and the last), or `windows` (all of it: each overlaps the one
                before by an eighth, the last by more, since it ends with the text)
    """

    def __init__(self, tokenizer: Any, long_texts: str | None) -> None:
        self._hybrid = tokenizer if hasattr(tokenizer, "tokens") else None
        tokenizer = getattr(tokenizer, "tokens", tokenizer)
        limit = getattr(tokenizer, "truncation", None)
        self.long_texts = long_texts
        self.max_length: int | None = limit["max_length"] if limit else None
        self._unknown: int | None = None
        self._tokenizer = tokenizer
        if isinstance(tokenizer, Tokenizer):
            self._tokenizer = Tokenizer.from_str(tokenizer.to_str())  # the caller's still cuts
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._unknown = _unknown(self._tokenizer)
            special = self._tokenizer.num_special_tokens_to_add(False)
            mask = self._tokenizer.encode("a").special_tokens_mask
            self._before = next((i for i, is_special in enumerate(mask) if not is_special), special)
            self._after = special - self._before

    @property
    def beside_ngrams(self) -> bool:
        """Do the tokens have n-grams of the whole text beside them?"""
        return self._hybrid is not None

    def read(self, texts: Iterable[str], keep: Keep = list) -> Windows:
        """Token ids of each text, in as many windows as are read of it.

        keep  takes the windows, one after the other: neither all texts nor all windows need to be
              in memory
        """
        of_text, tokens, unread, unknown = (array("q") for _ in range(4))
        special = 0 if self.max_length is None else self._before + self._after

        def read() -> Iterator[Ids]:
            for number, (text, whole) in enumerate(self._encoded(texts)):
                windows, lost = [whole], 0
                if self.max_length is not None and len(whole) > self.max_length:
                    windows, lost = self._parts(whole)
                tokens.append(len(whole) - special)
                unread.append(lost)
                unknown.append(
                    int((whole == self._unknown).sum()) if self._unknown is not None else 0
                )
                if self._hybrid is not None:
                    beside = np.asarray(self._hybrid.beside(text), np.int64)
                    windows = [np.concatenate([window, beside]) for window in windows]
                of_text.extend([number] * len(windows))
                yield from windows

        ids = keep(read())
        lacking = np.array(unknown, np.int64) if self.is_of_tokens else None
        places, whole = np.array(of_text, np.int64), np.array(tokens, np.int64)
        return Windows(ids, places, whole, np.array(unread, np.int64), lacking)

    @property
    def is_of_tokens(self) -> bool:
        """Are there tokens among what it reads, and not n-grams alone?"""
        return isinstance(self._tokenizer, Tokenizer)

    def given(self, ids: Ids) -> Windows:
        """One text, whose ids another program has made: one window; special tokens count, too.

        Raises ValueError for an id that `read` never gives, or for more tokens than it gives.
        """
        most = (self._hybrid or self._tokenizer).get_vocab_size()
        strange = ids[(ids < 0) | (ids >= most)]
        if len(strange):
            raise ValueError(f"there is no id {strange[0]}: they are 0 to {most - 1}")
        is_token = ids < (most if self._hybrid is None else self._hybrid.offset)
        tokens = int(is_token.sum()) if self.is_of_tokens else len(ids)
        if not is_token[:tokens].all():
            raise ValueError("ids of n-grams come after those of tokens")
        if self.max_length is not None and tokens > self.max_length:
            raise ValueError(f"{tokens} tokens are more than {self.max_length}, which are read")
        nothing = np.zeros(1, np.int64)
        unknown = nothing if self.is_of_tokens else None
        return Windows([ids], nothing, np.array([tokens]), nothing, unknown)

    def _encoded(self, texts: Iterable[str]) -> Iterator[tuple[str, Ids]]:
        """Each text and its ids; of few at once, since an encoding holds strings and offsets."""
        rest = iter(texts)
        while part := list(itertools.islice(rest, ENCODED_AT_ONCE)):
            if len(part) == 1:  # threads take longer than that
                encodings = [self._tokenizer.encode(part[0])]
            else:
                encodings = self._tokenizer.encode_batch(part)
            for text, encoding in zip(part, encodings, strict=True):
                yield text, np.asarray(encoding.ids, np.int64)

    def _parts(self, whole: Ids) -> tuple[list[Ids], int]:
        """(windows of a text that is too long, how many of its tokens are in none)."""
        end = len(whole) - self._after
        before, body, after = whole[: self._before], whole[self._before : end], whole[end:]
        room = (self.max_length or 0) - self._before - self._after
        if self.long_texts == "truncate":
            parts = [body[:room]]
        elif self.long_texts == "head_tail":
            parts = [np.concatenate([body[: room - room // 2], body[len(body) - room // 2 :]])]
        elif self.long_texts == "windows":
            last = len(body) - room
            starts = [*range(0, last, room - room // OVERLAP), last]
            parts = [body[start : start + room] for start in starts]
        else:
            raise ValueError(f"unknown way to read long texts: {self.long_texts!r}")
        unread = 0 if self.long_texts == "windows" else len(body) - room
        return [np.concatenate([before, part, after]) for part in parts], unread


def _unknown(tokenizer: Tokenizer) -> int | None:
    """Id of what stands for a token that the vocabulary lacks, if it may lack one."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    number: int | None = model.get("unk_id") if token is None else tokenizer.token_to_id(token)
    return number


def collate(ids: Sequence[Ids], rows: Sequence[int] | Ids, pad_id: int) -> Batch:
    """Rows as one batch, padded to the longest of them."""
    windows = [ids[int(i)] for i in rows]
    length = max(1, *map(len, windows))
    input_ids = np.full((len(rows), length), pad_id, np.int64)  # (b, t)
    attention_mask = np.zeros((len(rows), length), np.int64)
    for j, window in enumerate(windows):
        input_ids[j, : len(window)] = window
        attention_mask[j, : len(window)] = 1
    return Batch(np.asarray(rows, np.int64), input_ids, attention_mask)


def lengths(ids: Sequence[Ids]) -> Ids:
    """(w,) number of ids in each window."""
    known = getattr(ids, "lengths", None)  # of methods/packing.py
    return np.asarray([len(window) for window in ids], np.int64) if known is None else known


def length_order(lengths: Sequence[int] | Ids, batch_size: int) -> list[Ids]:
    """Rows of each batch, from short to long, for the least padding; ties keep their order."""
    rows = np.argsort(np.asarray(lengths), kind="stable")
    return [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]


def logits(
    forward: Forward, ids: Sequence[Ids], pad_id: int, batch_size: int
) -> NDArray[np.float32]:
    """(w, k) in the order of `ids`; windows of similar length share a batch."""
    if len(ids) == 1:  # most texts of a service: nothing to order
        alone = collate(ids, (0,), pad_id)
        return np.asarray(forward(alone.input_ids, alone.attention_mask), np.float32)
    out: NDArray[np.float32] | None = None
    for rows in length_order(lengths(ids), batch_size):
        batch = collate(ids, rows, pad_id)
        got = forward(batch.input_ids, batch.attention_mask)
        if out is None:
            out = np.empty((len(ids), got.shape[1]), np.float32)
        out[rows] = got
    if out is None:
        raise ValueError("there is no text to predict")
    return out


def probabilities(values: NDArray[np.float32]) -> Floats:
    """Softmax over the last axis, in double precision."""
    shifted = values.astype(np.float64) - values.max(-1, keepdims=True)  # exp cannot overflow
    powers = np.exp(shifted)
    result: Floats = powers / powers.sum(-1, keepdims=True)
    return result


def predicted(forward: Forward, windows: Windows, pad_id: int, batch_size: int) -> Floats:
    """(n, k) probabilities of each text: the mean of those of its windows.

    batch_size  windows at a time. In int8 those of a batch affect each other a little.
    """
    each = probabilities(logits(forward, windows.ids, pad_id, batch_size))  # (w, k)
    if len(each) == 1:
        return each  # its mean is itself, bit for bit
    first = np.flatnonzero(np.diff(windows.of_text, prepend=-1))
    number = np.diff(first, append=len(each))
    result: Floats = np.add.reduceat(each, first) / number[:, None]
    return result
