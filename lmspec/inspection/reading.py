"""reading: how much of a corpus the models that learn from it read, by their own tokenizers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lmspec.inspection import lengths
from lmspec.inspection.lengths import Lengths
from lmspec.inspection.overview import Inspection, references

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Reads:
    """What a model reads of the texts that were looked at.

    long_texts  what it does with a longer text
    cut         share of the texts that are longer than max_length
    unread      share of all tokens that are beyond it
    lengths     of the texts, in its tokens
    """

    model: str
    max_length: int
    long_texts: str
    cut: float
    unread: float
    lengths: Lengths


def models(inspected: Inspection, splits: Sequence[str], texts: list[str]) -> Iterator[Reads]:
    """Of each built model of the splits that has a maximum length; one of several alike."""
    known: dict[Any, Reads] = {}
    for name, spec in inspected.revision.artifacts.items():
        found = spec.get("architecture")
        architecture: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        most = architecture.get("max_length")
        folder = inspected.revision.tree.root / "data" / name.replace(".", "/")
        tokenizer = folder / TOKENIZER
        if not isinstance(most, int) or not set(splits) & references(
            inspected.revision.artifacts, name
        ):
            continue
        if not tokenizer.is_file() or not texts:
            continue
        long_texts = str(architecture.get("long_texts", "truncate"))
        key = (tokenizer.read_bytes(), most, long_texts)
        if key not in known and (tokens := _tokens(tokenizer, texts)):
            total = max(1, sum(tokens))
            known[key] = Reads(
                name,
                most,
                long_texts,
                sum(count > most for count in tokens) / len(tokens),
                sum(max(0, count - most) for count in tokens) / total,
                lengths.of(f"tokens of {name}", pl.Series(tokens)),
            )
            yield known[key]


def _tokens(tokenizer: Path, texts: list[str]) -> list[int]:
    """Tokens of each text, those that mark its ends included; empty if it cannot be read."""
    from lmspec.methods import ngrams  # here: it takes 0.1 s

    try:
        read = ngrams.tokenizer(tokenizer)
    except (OSError, ValueError):
        return []
    if isinstance(read, ngrams.NgramTokenizer):  # built before the model became another kind
        return []
    loaded = read.tokens if isinstance(read, ngrams.HybridTokenizer) else read
    loaded.no_truncation()
    loaded.no_padding()
    return [len(encoded.ids) for encoded in loaded.encode_batch_fast(texts)]
