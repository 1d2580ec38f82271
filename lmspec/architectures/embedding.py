"""embedding: a frozen pretrained encoder, the mean over its tokens, and a linear layer.

Source: Reimers & Gurevych 2019, arXiv:1908.10084 (mean pooling, length 1); Tunstall et al. 2022,
arXiv:2209.11055 (a logistic regression on such embeddings), without their contrastive training.
"""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from lmspec.architectures import transformer
from lmspec.methods import logistic, pretrained
from lmspec.methods.reading import Ids, collate, length_order, lengths
from lmspec.specs.architecture import Embedding, Hybrid, Transformer

MASKS = transformer.MASKS
# Texts at a time. It can change last digits of an embedding, so it is no setting of the machine.
BATCH = 32
SECONDS_BETWEEN_LINES = 10.0
Drawn = tuple["EmbeddingClassifier", Tokenizer, int]


class EmbeddingConfig(PretrainedConfig):
    """body: the configuration of the encoder, as its config.json has it."""

    model_type = "lmspec-embedding"

    body: dict[str, object] | None = None


class OnEncoder(PreTrainedModel):
    """A classifier on the embeddings of a body, whose weights are those of its source."""

    def __init__(self, config: PretrainedConfig, body: PreTrainedModel | None) -> None:
        super().__init__(config)
        self.body = body or _empty(config.body or {})
        self.additive = False  # does the body take an additive mask?

    def get_input_embeddings(self) -> nn.Module:
        """Those of the body."""
        embeddings: nn.Module = self.body.get_input_embeddings()
        return embeddings

    def pooled(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """(b, h) mean of the last hidden states of the tokens, scaled to length 1.

        input_ids, mask  (b, t); mask is 1 for each token
        """
        attention = transformer.additive(mask) if self.additive else mask
        states = self.body(input_ids=input_ids, attention_mask=attention).last_hidden_state
        counts = mask.to(states.dtype).unsqueeze(2)  # (b, t, 1)
        mean = (states * counts).sum(1) / counts.sum(1).clamp(min=1)
        return nn.functional.normalize(mean)


class EmbeddingClassifier(OnEncoder):
    """Only the head is fitted."""

    config_class = EmbeddingConfig

    def __init__(self, config: EmbeddingConfig, body: PreTrainedModel | None = None) -> None:
        super().__init__(config, body)
        self.head = nn.Linear(self.body.config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """input_ids, attention_mask (b, t) -> logits (b, num_labels)."""
        return SequenceClassifierOutput(logits=self.head(self.pooled(input_ids, attention_mask)))


def create(
    spec: Embedding, weights: Path, texts: Iterable[str], labels: int
) -> tuple[EmbeddingClassifier, Tokenizer, int]:
    """The pretrained body with a head of zeros, its tokenizer, and the id of the padding."""
    body, tokenizer, pad_id = encoder(spec, weights, labels)
    config = EmbeddingConfig(body=body.config.to_dict(), num_labels=labels)
    model = EmbeddingClassifier(config, body)
    set_head(model, np.zeros(model.head.weight.shape), np.zeros(labels))
    return model, tokenizer, pad_id


def encoder(
    spec: Embedding | Hybrid, weights: Path, labels: int
) -> tuple[PreTrainedModel, Tokenizer, int]:
    """The body of pretrained weights without any head, its tokenizer, and the padding's id."""
    plain = Transformer(
        kind="transformer",
        weights=spec.weights,
        max_length=spec.max_length,
        long_texts="truncate",
        dropout=0.0,
        classifier_dropout=0.0,
        frozen_embeddings=True,
        frozen_layers=0,
    )
    model, tokenizer, pad_id = transformer.start(
        AutoModelForSequenceClassification, plain, weights, labels
    )
    body: PreTrainedModel = getattr(model, model.base_model_prefix)
    return body.eval().requires_grad_(False), tokenizer, pad_id


def _empty(config: dict[str, object]) -> PreTrainedModel:
    """A body of that configuration; its weights are loaded into it."""
    values = {key: value for key, value in config.items() if key != "model_type"}
    whole = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(str(config["model_type"]), **values)
    )
    body: PreTrainedModel = getattr(whole, whole.base_model_prefix)
    return body


def load(folder: Path) -> EmbeddingClassifier:
    """The classifier that `save_pretrained` wrote."""
    model: EmbeddingClassifier = pretrained.load(EmbeddingClassifier, folder)
    return model


def fit(
    spec: Embedding, drawn: Drawn, train: Sequence[Ids], dev: Sequence[Ids], layer: logistic.Layer
) -> tuple[Drawn, logistic.Fitted]:
    """Fit the head.

    drawn       what `create` returned
    train, dev  ids of the windows
    layer       fits and calibrates a layer on features of (train, dev)
    """
    network, _, pad_id = drawn
    fitted = layer(*(embeddings(network, ids, pad_id) for ids in (train, dev)))
    set_head(network, fitted.weight, fitted.bias)
    return drawn, fitted


def embeddings(network: OnEncoder, ids: Sequence[Ids], pad_id: int) -> NDArray[np.float32]:
    """(w, h) embedding of each window; windows of similar length share a batch."""
    result = np.empty((len(ids), network.body.config.hidden_size), np.float32)
    start = last = now = time.monotonic()
    done = 0
    for rows in length_order(lengths(ids), BATCH):
        batch = collate(ids, rows, pad_id)
        input_ids, mask = (
            torch.from_numpy(values).to(network.device)
            for values in (batch.input_ids, batch.attention_mask)
        )
        with torch.inference_mode():
            result[rows] = network.pooled(input_ids, mask).cpu().numpy()
        done += len(rows)
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"  {done:,} of {len(ids):,} windows embedded", file=sys.stderr, flush=True)
    print(f"  {len(ids):,} windows embedded, {now - start:.0f} s", file=sys.stderr, flush=True)
    return result


def set_head(
    network: EmbeddingClassifier, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> None:
    """weight (k, h), bias (k,)."""
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))


def exportable(model: OnEncoder) -> OnEncoder:
    """The module to trace: plain attention, and the mask built once, from standard operators."""
    model.body.set_attn_implementation("eager")
    model.additive = True
    return model
