"""rnn: LSTM or GRU over token embeddings, pooled over time.

Source: Conneau et al. 2017, arXiv:1705.02364 (max pooling).
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.onnx.ops
from tokenizers import Tokenizer
from torch import Tensor, nn

from lmspec.errors import LmspecError
from lmspec.methods import bytepair, network
from lmspec.methods.network import Network, Output, Shape
from lmspec.specs.architecture import Rnn

MASKS = ("full", "right")


@dataclass
class RnnConfig(Shape):
    """Shape of the network; `num_labels` outputs."""

    model_type = "lmspec-rnn"

    vocabulary: int = 1000
    embedding_dim: int = 64
    hidden_dim: int = 64
    cell: str = "lstm"
    layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.0


class RnnClassifier(Network):
    """Padding on the right changes no logit.

    Each direction is a network of its own; the backward one reads the text reversed within its
    length. Neither of torch's ONNX exporters supports the usual way, packed sequences.
    """

    shape = RnnConfig

    def __init__(self, config: RnnConfig) -> None:
        super().__init__(config)
        cell = nn.LSTM if config.cell == "lstm" else nn.GRU
        directions = 2 if config.bidirectional else 1
        self.embedding = nn.Embedding(config.vocabulary, config.embedding_dim)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                cell(
                    config.embedding_dim if depth == 0 else directions * config.hidden_dim,
                    config.hidden_dim,
                    batch_first=True,
                )
                for _ in range(directions)
            )
            for depth in range(config.layers)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * directions * config.hidden_dim, config.num_labels)
        self.draw()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Output:
        """input_ids, attention_mask (b, t) -> logits (b, num_labels)."""
        mask = attention_mask.unsqueeze(2).to(self.head.weight.dtype)
        x = self.dropout(self.embedding(input_ids))
        turn = _turn(attention_mask)
        for layer in self.layers:
            ahead, *back = layer.children()
            forward = _run(ahead, x)
            for cell in back:
                order = turn.unsqueeze(2)
                backward = _run(cell, x.gather(1, order.expand(-1, -1, x.shape[2])))
                backward = backward.gather(1, order.expand(-1, -1, backward.shape[2]))
                forward = torch.cat([forward, backward], 2)
            x = self.dropout(forward)
        lowest = torch.finfo(x.dtype).min
        highest = (x * mask + (1 - mask) * lowest).amax(1)
        mean = (x * mask).sum(1) / mask.sum(1).clamp(min=1)
        return Output(logits=self.head(torch.cat([highest, mean], 1)))


def _run(cell: nn.Module, x: Tensor) -> Tensor:
    """(b, t, d) -> (b, t, hidden_dim), in fp32 always: most CPUs have no bf16 recurrent kernel."""
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            states: Tensor = cell(x.float())[0]
    else:
        states = cell(x)[0]
    return states


def _turn(attention_mask: Tensor) -> Tensor:
    """(b, t): positions of the reversed text; padding stays where it is."""
    length = attention_mask.sum(1, keepdim=True)
    place = attention_mask.cumsum(1) - 1
    position = torch.arange(attention_mask.shape[1], device=attention_mask.device).unsqueeze(0)
    return torch.where(attention_mask > 0, length - 1 - place, position)


def create(
    spec: Rnn, weights: Path | None, texts: Iterable[str], labels: int
) -> tuple[RnnClassifier, Tokenizer, int]:
    """A network with random weights, a tokenizer trained on the texts, and the padding id."""
    tokenizer = bytepair.train(texts, spec.vocabulary, spec.max_length)
    config = RnnConfig(
        vocabulary=tokenizer.get_vocab_size(),
        embedding_dim=spec.embedding_dim,
        hidden_dim=spec.hidden_dim,
        cell=spec.cell,
        layers=spec.layers,
        bidirectional=spec.bidirectional,
        dropout=spec.dropout,
        num_labels=labels,
    )
    return RnnClassifier(config), tokenizer, bytepair.PAD_ID


def load(folder: Path) -> RnnClassifier:
    """The network that `save_pretrained` wrote."""
    return network.load(RnnClassifier, folder)


def freeze(model: RnnClassifier, embeddings: bool, layers: int) -> None:
    """Do not train the embedding, or that many layers from the bottom."""
    if layers > len(model.layers):
        raise LmspecError(
            "frozen_layers",
            f"{layers} is more than the model's {len(model.layers)} layers",
            "lower it",
        )
    model.embedding.requires_grad_(not embeddings)
    for layer in model.layers[:layers]:
        layer.requires_grad_(False)


def exportable(model: RnnClassifier) -> RnnClassifier:
    """A copy to trace, whose cells are single ONNX nodes."""
    traced = copy.deepcopy(model)
    traced.layers = nn.ModuleList(
        nn.ModuleList(_OnnxCell(cell) for cell in layer.children()) for layer in model.layers
    )
    return traced


class _OnnxCell(nn.Module):
    """An LSTM or GRU as the ONNX operator: torch.export unrolls torch's own to the sample's length.

    Source: ONNX operators LSTM and GRU, version 14, whose order of gates differs from torch's.
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.operator, order = (
            ("LSTM", (0, 3, 1, 2)) if isinstance(cell, nn.LSTM) else ("GRU", (1, 0, 2))
        )
        self.hidden_dim = int(cell.hidden_size)  # type: ignore[arg-type]

        def ordered(weight: Tensor) -> Tensor:
            gates = weight.detach().chunk(len(order))
            return torch.cat([gates[i] for i in order]).unsqueeze(0)

        state = cell.state_dict()
        self.w = nn.Buffer(ordered(state["weight_ih_l0"]))
        self.r = nn.Buffer(ordered(state["weight_hh_l0"]))
        self.b = nn.Buffer(
            torch.cat([ordered(state["bias_ih_l0"]), ordered(state["bias_hh_l0"])], 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """(b, t, d) -> (b, t, hidden_dim), as the first of torch's two results."""
        attributes: dict[str, Any] = {"hidden_size": self.hidden_dim}
        if self.operator == "GRU":
            attributes["linear_before_reset"] = 1
        shape = (x.shape[1], 1, x.shape[0], self.hidden_dim)
        inputs = (x.transpose(0, 1), self.w, self.r, self.b)
        y = torch.onnx.ops.symbolic(
            self.operator, inputs, attributes, dtype=x.dtype, shape=shape, version=14
        )
        return (y.squeeze(1).transpose(0, 1),)
