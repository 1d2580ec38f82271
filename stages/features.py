"""features: what a cheap classifier reads of texts: of `suspects` and `queue`."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.methods import reading, tfidf
from lmspec.specs.architecture import Embedding
from lmspec.specs.features import Frozen, Ngrams

NO_HEAD = 2  # labels of its head, which is not used
EMBEDDING = "lmspec.architectures.embedding"  # by its name: only those that need it have its key


def of(spec: Ngrams | Frozen, texts: Sequence[str], needs: stage.Needs) -> Any:
    """(n, f) features of the texts, scaled to length 1: sparse of n-grams, dense of an encoder."""
    if isinstance(spec, Ngrams):
        tokenizer, idf = tfidf.learned(texts, spec)
        ids = [np.asarray(tokenizer.encode(text).ids, np.int64) for text in texts]
        return tfidf.weighted(tfidf.counted(ids, tokenizer.size), idf)
    embedding = importlib.import_module(EMBEDDING)
    whole = Embedding(
        kind="embedding", weights=spec.weights, max_length=spec.max_length, long_texts="truncate"
    )
    network, tokenizer, pad_id = embedding.create(whole, needs[spec.weights], (), NO_HEAD)
    network.to(needs.machine.device)
    windows = reading.Reader(tokenizer, "truncate").read(texts)
    return embedding.embeddings(network, windows.ids, pad_id)
