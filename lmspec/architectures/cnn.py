"""cnn: convolutions over token embeddings, maximum over time. Source: Kim 2014, arXiv:1408.5882."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from lmspec.errors import LmspecError
from lmspec.methods import bytepair, network
from lmspec.methods.network import Network, Output, Shape
from lmspec.specs.architecture import Cnn

MASKS = ("full", "right")


@dataclass
class CnnConfig(Shape):
    """Shape of the network; `num_labels` outputs."""

    model_type = "lmspec-cnn"

    vocabulary: int = 1000
    embedding_dim: int = 64
    filters: int = 64
    widths: list[int] | None = None
    dropout: float = 0.0


class CnnClassifier(Network):
    """Padding changes no logit: its embeddings are zero, and so are windows of padding alone."""

    shape = CnnConfig

    def __init__(self, config: CnnConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary, config.embedding_dim)
        self.widths = config.widths or []
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_dim, config.filters, width) for width in self.widths
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.filters * len(self.convolutions), config.num_labels)
        self.draw()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Output:
        """input_ids, attention_mask (b, t) -> logits (b, num_labels)."""
        mask = attention_mask.unsqueeze(1).to(self.head.weight.dtype)
        x = self.dropout(self.embedding(input_ids)).transpose(1, 2) * mask
        pooled = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            activation = torch.relu(convolution(nn.functional.pad(x, (width - 1, width - 1))))
            place = torch.arange(activation.shape[2], device=input_ids.device)
            touched = place < attention_mask.sum(1, keepdim=True) + width - 1
            pooled.append((activation * touched.unsqueeze(1)).amax(2))
        return Output(logits=self.head(self.dropout(torch.cat(pooled, 1))))


def create(
    spec: Cnn, weights: Path | None, texts: Iterable[str], labels: int
) -> tuple[CnnClassifier, Tokenizer, int]:
    """A network with random weights, a tokenizer trained on the texts, and the padding id."""
    tokenizer = bytepair.train(texts, spec.vocabulary, spec.max_length)
    config = CnnConfig(
        vocabulary=tokenizer.get_vocab_size(),
        embedding_dim=spec.embedding_dim,
        filters=spec.filters,
        widths=list(spec.widths),
        dropout=spec.dropout,
        num_labels=labels,
    )
    return CnnClassifier(config), tokenizer, bytepair.PAD_ID


def load(folder: Path) -> CnnClassifier:
    """The network that `save_pretrained` wrote."""
    return network.load(CnnClassifier, folder)


def freeze(model: CnnClassifier, embeddings: bool, layers: int) -> None:
    """Only the embedding can be frozen: the convolutions are parallel, not stacked."""
    model.embedding.requires_grad_(not embeddings)
    if layers:
        raise LmspecError("frozen_layers", "a cnn has no layers above each other", "set it to 0")


def exportable(model: CnnClassifier) -> Network:
    """The module to trace."""
    return model
