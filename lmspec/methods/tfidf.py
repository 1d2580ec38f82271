"""tfidf: texts -> the n-grams to know, and the weighted counts of each text as a sparse matrix."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lmspec.errors import LmspecError
from lmspec.methods import ngrams
from lmspec.methods.ngrams import COUNTS, NgramTokenizer, Orders

Matrix = Any  # scipy.sparse.csr_array: (texts, n-grams)


class NgramSpec(Protocol):
    """Which n-grams are kept: a spec of kind `linear`, or another with these fields."""

    @property
    def word_ngrams(self) -> Orders: ...  # noqa: D102
    @property
    def char_ngrams(self) -> Orders: ...  # noqa: D102
    @property
    def min_documents(self) -> int: ...  # noqa: D102
    @property
    def max_features(self) -> int: ...  # noqa: D102


def learned(texts: Iterable[str], spec: NgramSpec) -> tuple[NgramTokenizer, NDArray[np.float32]]:
    """The n-grams of the training texts that the spec keeps, and (v,) their inverse frequencies.

    Words and pieces of words are looked up once per distinct chunk, and matrices do the rest.
    Raises LmspecError if no n-gram is in `min_documents` texts.
    """
    known: dict[str, int] = {}
    flat = [
        np.asarray([known.setdefault(c, len(known)) for c in ngrams.chunks(text)], np.int64)
        for text in texts
    ]
    word = _words(list(known), flat, spec.word_ngrams, spec.min_documents)
    char = _chars(list(known), flat, spec.char_ngrams, spec.min_documents)
    word, char = _most_frequent(word, char, spec.max_features)
    tokenizer = NgramTokenizer(word.names, char.names, spec.word_ngrams, spec.char_ngrams)
    if not tokenizer.size:
        found = f"no n-gram is in {spec.min_documents} training texts"
        raise LmspecError("architecture.min_documents", found, "lower it, or give more texts")
    documents = np.concatenate([word.documents, char.documents])
    idf = np.log((1 + len(flat)) / (1 + documents)) + 1
    return tokenizer, idf.astype(np.float32)


def counted(ids: Sequence[NDArray[np.int64]], size: int) -> Matrix:
    """(n, size) counts of encoded texts. ids: of each of n texts, from a NgramTokenizer."""
    starts = np.cumsum([0, *map(len, ids)])
    flat = np.concatenate(ids) if ids else np.empty(0, np.int64)
    values = (flat % COUNTS).astype(np.float32)
    return sparse.csr_array((values, flat // COUNTS, starts), shape=(len(ids), size))


def weighted(counts: Matrix, idf: NDArray[np.float32]) -> Matrix:
    """(1 + ln count) * idf, each text scaled to length 1."""
    result = counts.copy()
    logs = np.log(np.maximum(result.data, 1)) + 1
    result.data = np.where(result.data > 0, logs * idf[result.indices], 0).astype(np.float32)
    length = np.sqrt(np.asarray(result.multiply(result).sum(1)).ravel())
    scale = 1 / np.where(length > 0, length, 1)
    result.data *= np.repeat(scale, np.diff(result.indptr)).astype(np.float32)
    return result


@dataclass(frozen=True)
class _Family:
    """N-grams of words, or of characters. documents: (v,) in how many texts each is."""

    names: tuple[str, ...]
    counts: Matrix
    documents: NDArray[np.int64]

    def chosen(self, columns: NDArray[np.int64]) -> "_Family":
        names = tuple(self.names[i] for i in columns)
        return _Family(names, self.counts[:, columns], self.documents[columns])


def _family(names: Sequence[str], counts: Matrix) -> _Family:
    """Columns in the order of their names."""
    order = np.asarray(sorted(range(len(names)), key=names.__getitem__), np.int64)
    documents = np.bincount(counts.indices, minlength=counts.shape[1])
    return _Family(tuple(names), counts, documents).chosen(order)


def _chars(
    known: Sequence[str], flat: Sequence[NDArray[np.int64]], orders: Orders, least: int
) -> _Family:
    grams: dict[str, int] = {}
    columns = [
        [grams.setdefault(gram, len(grams)) for gram in ngrams.pieces(chunk, orders)]
        for chunk in (known if orders else ())
    ]
    if not grams:
        return _Family((), sparse.csr_array((len(flat), 0)), np.empty(0, np.int64))
    of_chunk = _rows(columns, len(grams))  # (chunks, grams)
    of_text = _rows(flat, len(known))  # (texts, chunks)
    counts = (of_text @ of_chunk).tocsr()
    return _kept(list(grams), counts, least)


def _words(
    known: Sequence[str], flat: Sequence[NDArray[np.int64]], orders: Orders, least: int
) -> _Family:
    if orders is None:
        return _Family((), sparse.csr_array((len(flat), 0)), np.empty(0, np.int64))
    tokens: dict[str, int] = {}
    of_chunk = [[tokens.setdefault(w, len(tokens)) for w in ngrams.words(c)] for c in known]
    texts = [[token for chunk in row.tolist() for token in of_chunk[chunk]] for row in flat]
    spelled = list(tokens)
    sequence = np.asarray([token for text in texts for token in text], np.int64)
    text_of = np.repeat(np.arange(len(texts)), list(map(len, texts)))
    names: list[str] = []
    parts = []
    gram, at = sequence, np.arange(len(sequence))  # id of the n-gram that begins at each position
    for n in range(1, orders[1] + 1):
        if n > 1:  # the next word, if it is of the same text
            inside = at + n - 1 < len(sequence)
            gram, at = gram[inside], at[inside]
            same = text_of[at] == text_of[at + n - 1]
            gram, at = gram[same], at[same]
            gram = gram * len(spelled) + sequence[at + n - 1]
        _, first, gram = np.unique(gram, return_index=True, return_inverse=True)
        if n < orders[0] or not len(gram):
            continue
        ones = np.ones(len(gram), np.float32)
        counts = sparse.csr_array((ones, (text_of[at], gram)), shape=(len(texts), len(first)))
        begins = at[first]
        frequent = np.flatnonzero(np.bincount(counts.indices, minlength=len(first)) >= least)
        names += [" ".join(spelled[t] for t in sequence[b : b + n]) for b in begins[frequent]]
        parts.append(counts[:, frequent])
    if not names:
        return _Family((), sparse.csr_array((len(flat), 0)), np.empty(0, np.int64))
    return _family(names, sparse.hstack(parts, format="csr"))


def _rows(columns: Sequence[Sequence[int] | NDArray[np.int64]], width: int) -> Matrix:
    """One row for each list of columns; a column that is listed twice counts 2."""
    starts = np.cumsum([0, *map(len, columns)])
    flat = np.concatenate([np.empty(0, np.int64), *(np.asarray(r, np.int64) for r in columns)])
    ones = np.ones(len(flat), np.float32)
    matrix = sparse.csr_array((ones, flat, starts), shape=(len(columns), width))
    matrix.sum_duplicates()
    return matrix


def _kept(names: Sequence[str], counts: Matrix, least: int) -> _Family:
    frequent = np.flatnonzero(np.bincount(counts.indices, minlength=len(names)) >= least)
    return _family([names[i] for i in frequent.tolist()], counts[:, frequent])


def _most_frequent(word: _Family, char: _Family, most: int) -> tuple[_Family, _Family]:
    """At most that many columns of both, those of the most texts; of equals the first names."""
    documents = np.concatenate([word.documents, char.documents])
    if len(documents) <= most:
        return word, char
    best = np.sort(np.argsort(-documents, kind="stable")[:most])
    split = len(word.names)
    return word.chosen(best[best < split]), char.chosen(best[best >= split] - split)
