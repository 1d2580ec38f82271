"""linear: TF-IDF of n-grams of words and characters, one linear layer: logistic regression."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmspec.methods import logistic, tfidf
from lmspec.methods import network as networks
from lmspec.methods.network import Network, Output, Shape
from lmspec.methods.ngrams import COUNTS, NgramTokenizer
from lmspec.methods.reading import Ids
from lmspec.specs.architecture import Linear

MASKS = ("full", "right", "left", "hole")
PAD_ID = 0  # the first n-gram, 0 times
MOST_NGRAMS_SHOWN = 30  # of each label
Drawn = tuple["LinearClassifier", NgramTokenizer, int]


@dataclass
class LinearConfig(Shape):
    """Number of n-grams; `num_labels` outputs."""

    model_type = "lmspec-linear"

    ngrams: int = 1


class LinearClassifier(Network):
    """(1 + ln count) * idf, scaled to length 1, times the weights. Padding changes no logit."""

    shape = LinearConfig
    embedding_name = "weight"

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.idf = nn.Embedding(config.ngrams, 1)
        self.weight = nn.Embedding(config.ngrams, config.num_labels)
        self.bias = nn.Parameter(torch.zeros(config.num_labels))
        self.draw()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Output:
        """input_ids, attention_mask (b, t) -> logits (b, num_labels)."""
        # a graph divides as fp32, which is exact for multiples of COUNTS, but not for every id
        count = torch.remainder(input_ids, COUNTS)
        ngram = torch.div(input_ids - count, COUNTS, rounding_mode="floor")
        count = count.to(self.bias.dtype)
        known = (count > 0).to(self.bias.dtype) * attention_mask.to(self.bias.dtype)
        x = (torch.log(count.clamp(min=1.0)) + 1.0) * known * self.idf(ngram).squeeze(-1)  # (b, t)
        length = (x * x).sum(1, keepdim=True).sqrt()
        x = x / torch.where(length > 0, length, torch.ones_like(length))
        logits = torch.matmul(x.unsqueeze(1), self.weight(ngram)).squeeze(1) + self.bias
        return Output(logits=logits)


def create(
    spec: Linear, weights: Path | None, texts: Iterable[str], labels: int
) -> tuple[LinearClassifier, NgramTokenizer, int]:
    """A classifier of the texts' n-grams with a head of zeros, its tokenizer, the padding id."""
    tokenizer, idf = tfidf.learned(texts, spec)
    return classifier(idf, labels), tokenizer, PAD_ID


def features(network: LinearClassifier, ids: Sequence[Ids]) -> tfidf.Matrix:
    """(w, v) weights of the n-grams of each text, in the order of `ids`: sparse rows."""
    idf = network.idf.weight.detach().numpy().ravel()
    return tfidf.weighted(tfidf.counted(ids, len(idf)), idf)


def fit(
    spec: Linear, drawn: Drawn, train: Sequence[Ids], dev: Sequence[Ids], layer: logistic.Layer
) -> tuple[Drawn, logistic.Fitted]:
    """Fit with each family of n-grams; the first of the lowest dev log loss is kept, alone.

    drawn       what `create` returned
    train, dev  ids of the windows
    layer       fits and calibrates a layer on features of (train, dev)
    """
    network, tokenizer, pad_id = drawn
    words, size = len(tokenizer.words), tokenizer.size
    columns = {"words": slice(0, words), "characters": slice(words, size), "both": slice(0, size)}
    idf = network.idf.weight.detach().numpy().ravel()
    counts = [tfidf.counted(ids, size) for ids in (train, dev)]

    def attempt(family: str) -> logistic.Fitted:
        print(f"  {family}", file=sys.stderr, flush=True)
        own = columns[family]
        return layer(*(tfidf.weighted(part[:, own], idf[own]) for part in counts))

    tried = [name for name in spec.families if columns[name].stop > columns[name].start]
    family, fitted = logistic.best("ngrams", {name: attempt(name) for name in tried})
    kept = NgramTokenizer(
        () if family == "characters" else tokenizer.words,
        () if family == "words" else tokenizer.chars,
        None if family == "characters" else tokenizer.word_orders,
        None if family == "words" else tokenizer.char_orders,
    )
    result = classifier(idf[columns[family]], network.config.num_labels)
    set_head(result, fitted.weight, fitted.bias)
    return (result, kept, pad_id), fitted


def classifier(idf: NDArray[np.float32], labels: int) -> LinearClassifier:
    """Of n-grams with these inverse document frequencies, and a head of zeros."""
    model = LinearClassifier(LinearConfig(ngrams=len(idf), num_labels=labels))
    with torch.no_grad():
        model.idf.weight.copy_(torch.from_numpy(idf).unsqueeze(1))
    set_head(model, np.zeros((labels, len(idf))), np.zeros(labels))
    return model


def set_head(
    network: LinearClassifier, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> None:
    """weight (k, v), bias (k,)."""
    with torch.no_grad():
        network.weight.weight.copy_(torch.from_numpy(weight.T))
        network.bias.copy_(torch.from_numpy(bias))


def heaviest(
    network: LinearClassifier, tokenizer: NgramTokenizer, labels: Sequence[str]
) -> list[dict[str, object]]:
    """Rows of label, kind, n-gram and weight: what speaks most for a label, against the mean."""
    weight = network.weight.weight.detach().numpy()
    centred = weight - weight.mean(1, keepdims=True)  # (v, k)
    names = [("word", name) for name in tokenizer.words]
    names += [("char", name) for name in tokenizer.chars]
    return [
        {
            "label": label,
            "kind": names[i][0],
            "ngram": names[i][1],
            "weight": round(float(centred[i, number]), 4),
        }
        for number, label in enumerate(labels)
        for i in np.argsort(-centred[:, number], kind="stable")[:MOST_NGRAMS_SHOWN]
    ]


def load(folder: Path) -> LinearClassifier:
    """The model that `save_pretrained` wrote."""
    return networks.load(LinearClassifier, folder)


def exportable(model: LinearClassifier) -> Network:
    """The module to trace."""
    return model
