"""hybrid: n-grams of a text beside its embedding by a frozen encoder, and one linear layer."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from lmspec.architectures import embedding, linear
from lmspec.methods import logistic, pretrained, tfidf
from lmspec.methods.ngrams import HybridTokenizer
from lmspec.methods.reading import Ids
from lmspec.specs.architecture import Hybrid

MASKS = ("full", "right")
Drawn = tuple["HybridClassifier", HybridTokenizer, int]


class HybridConfig(PretrainedConfig):
    """body: configuration of the encoder. offset: n-grams are the ids from here on.

    max_length  tokens of the encoder
    """

    model_type = "lmspec-hybrid"

    body: dict[str, object] | None = None
    ngrams: int = 1
    offset: int = 1
    max_length: int = 512


class HybridClassifier(embedding.OnEncoder):
    """Tokens of the encoder first, then n-grams: one sequence of ids for both."""

    config_class = HybridConfig

    def __init__(self, config: HybridConfig, body: PreTrainedModel | None = None) -> None:
        super().__init__(config, body)
        self.head = nn.Linear(self.body.config.hidden_size, config.num_labels, bias=False)
        self.counted = linear.LinearClassifier(
            linear.LinearConfig(ngrams=config.ngrams, num_labels=config.num_labels)
        )
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """input_ids, attention_mask (b, t) -> logits (b, num_labels)."""
        token = (input_ids < self.config.offset) & (attention_mask > 0)
        logits = self.counted(
            (input_ids - self.config.offset).clamp(min=0), attention_mask * ~token
        ).logits
        # the encoder reads no further than the longest run of tokens in the batch
        length = token.sum(1).amax(0).clamp(1, self.config.max_length).item()
        torch._check(length >= 1)  # type: ignore[no-untyped-call]
        torch._check(length <= input_ids.shape[1])  # type: ignore[no-untyped-call]
        mask = token[:, :length].to(torch.int64)
        ids = torch.where(token, input_ids, 0)[:, :length]
        return SequenceClassifierOutput(logits=logits + self.head(self.pooled(ids, mask)))


def create(
    spec: Hybrid, weights: Path, texts: Iterable[str], labels: int
) -> tuple[HybridClassifier, HybridTokenizer, int]:
    """The pretrained body and the texts' n-grams with a head of zeros, both tokenizers, padding."""
    body, tokens, pad_id = embedding.encoder(spec, weights, labels)
    ngrams, idf = tfidf.learned(texts, spec)
    both = HybridTokenizer(tokens, ngrams, int(body.get_input_embeddings().num_embeddings))
    config = HybridConfig(
        body=body.config.to_dict(),
        ngrams=ngrams.size,
        offset=both.offset,
        max_length=spec.max_length,
        num_labels=labels,
    )
    model = HybridClassifier(config, body)
    model.counted = linear.classifier(idf, labels)
    nn.init.zeros_(model.head.weight)
    return model, both, pad_id


def features(network: HybridClassifier, ids: Sequence[Ids], pad_id: int) -> tfidf.Matrix:
    """(n, v + h) n-grams of each text, scaled to length 1, then its embedding, of length 1 too."""
    offset = network.config.offset
    ngrams = [window[window >= offset] - offset for window in ids]
    tokens = [window[window < offset] for window in ids]
    counts = linear.features(network.counted, ngrams)
    states = embedding.embeddings(network, tokens, pad_id)
    return sparse.hstack([counts, sparse.csr_array(states)], format="csr")


def fit(
    spec: Hybrid, drawn: Drawn, train: Sequence[Ids], dev: Sequence[Ids], layer: logistic.Layer
) -> tuple[Drawn, logistic.Fitted]:
    """Fit with each scale of the embedding; the first of the lowest dev log loss is kept.

    drawn       what `create` returned
    train, dev  ids of the windows
    layer       fits and calibrates a layer on features of (train, dev)
    """
    network, _, pad_id = drawn
    new, held_out = (features(network, ids, pad_id) for ids in (train, dev))

    def factors(scale: float) -> NDArray[np.float32]:
        result = np.ones(new.shape[1], np.float32)
        result[network.config.ngrams :] = scale
        return result

    def attempt(scale: float) -> logistic.Fitted:
        print(f"  embedding scaled by {scale:g}", file=sys.stderr, flush=True)
        resize = sparse.diags_array(factors(scale), format="csr")
        return layer(new @ resize, held_out @ resize)

    scale, fitted = logistic.best("scale", {s: attempt(s) for s in spec.embedding_scales})
    set_head(network, fitted.weight * factors(scale), fitted.bias)
    return drawn, fitted


def set_head(
    network: HybridClassifier, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> None:
    """weight (k, v + h), bias (k,)."""
    ngrams = network.config.ngrams
    linear.set_head(network.counted, weight[:, :ngrams], bias)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight[:, ngrams:]))


def heaviest(
    network: HybridClassifier, tokenizer: HybridTokenizer, labels: Sequence[str]
) -> list[dict[str, object]]:
    """As of a linear model; what the encoder adds is not in it."""
    return linear.heaviest(network.counted, tokenizer.ngrams, labels)


def load(folder: Path) -> HybridClassifier:
    """The classifier that `save_pretrained` wrote."""
    model: HybridClassifier = pretrained.load(HybridClassifier, folder)
    return model


exportable = embedding.exportable
