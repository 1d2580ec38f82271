"""transformer: a pretrained encoder of any architecture of `transformers`, and a new head."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from lmspec.errors import LmspecError
from lmspec.methods import configuring, firsttoken, pretrained
from lmspec.methods import layers as parts
from lmspec.specs.architecture import Transformer

MASKS = ("full", "right", "left", "hole")


def create(
    spec: Transformer, weights: Path, texts: Iterable[str], labels: int
) -> tuple[PreTrainedModel, Tokenizer, int]:
    """The pretrained body with a new head, its tokenizer, and the id of the padding."""
    model, tokenizer, pad_id = start(AutoModelForSequenceClassification, spec, weights, labels)
    firsttoken.only(model, parts.stack(model)[1])
    return model, tokenizer, pad_id


def start(
    model_class: Any, spec: Transformer, weights: Path, labels: int
) -> tuple[PreTrainedModel, Tokenizer, int]:
    """The same with the head of another class of transformers."""
    for name in ("config.json", "tokenizer.json"):
        if not (weights / name).is_file():
            raise LmspecError(
                str(spec.weights),
                f"it has no {name}",
                "take a source that holds a model with its tokenizer",
            )
    config = configuring.read(weights / "config.json", num_labels=labels)
    configuring.set_dropout(config, spec.dropout, spec.classifier_dropout)
    model = pretrained.load(model_class, weights, new_head=True, config=config)
    positions = _positions(model)
    if spec.max_length > positions:
        found = f"{spec.max_length} is more than the {positions} positions of {spec.weights}"
        raise LmspecError("architecture.max_length", found, "lower max_length")
    tokenizer = pretrained.tokenizer(weights)
    tokenizer.no_padding()
    pretrained.require_own_tokenizer(
        tokenizer,
        model.get_input_embeddings().num_embeddings,
        config.pad_token_id,
        weights / "tokenizer.json",
    )
    tokenizer.enable_truncation(spec.max_length)
    freeze(model, spec.frozen_embeddings, spec.frozen_layers)
    return model, tokenizer, config.pad_token_id or 0


def load(folder: Path) -> PreTrainedModel:
    """The model that `save_pretrained` wrote."""
    model = pretrained.load(AutoModelForSequenceClassification, folder)
    firsttoken.only(model, parts.stack(model)[1])
    return model


def freeze(model: PreTrainedModel, embeddings: bool, layers: int) -> None:
    """Do not train the embeddings, or that many layers from the bottom."""
    _, stack = parts.stack(model)
    if layers > len(stack):
        raise LmspecError(
            "frozen_layers", f"{layers} is more than the model's {len(stack)} layers", "lower it"
        )
    body = getattr(model, model.base_model_prefix)
    for parameter in body.embeddings.parameters() if embeddings else ():
        parameter.requires_grad_(False)
    for layer in list(stack)[:layers]:
        layer.requires_grad_(False)


def shrink(
    teacher: PreTrainedModel, layers: Sequence[int], dropout: float, classifier_dropout: float
) -> PreTrainedModel:
    """A copy of the teacher with only those layers.

    Source: Sanh et al. 2019, arXiv:1910.01108 (initialisation from the teacher's layers).
    """
    student = configuring.shrunk(teacher, layers, dropout, classifier_dropout)
    firsttoken.only(student, parts.stack(student)[1])
    return student


def exportable(model: PreTrainedModel) -> nn.Module:
    """The module to trace: plain attention, and the mask built once, from standard operators."""
    model.set_attn_implementation("eager")
    return _Masked(model)


def additive(attention_mask: Tensor) -> Tensor:
    """(b, 1, 1, t) what is added to the scores of attention: 0, or the lowest number."""
    hidden = 1.0 - attention_mask[:, None, None, :].to(torch.float32)
    return hidden * torch.finfo(torch.float32).min


class _Masked(nn.Module):
    """Gives the encoder an additive mask: the mask builder of `transformers` exports to hundreds of
    nodes."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids, attention_mask (b, t) -> logits (b, num_labels)."""
        added = additive(attention_mask)
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=added).logits
        return logits


def _positions(model: PreTrainedModel) -> int:
    """Maximum tokens of a text; RoBERTa and its kin reserve the first positions for padding."""
    table = getattr(
        getattr(getattr(model, model.base_model_prefix), "embeddings", None),
        "position_embeddings",
        None,
    )
    if isinstance(table, nn.Embedding) and table.padding_idx is not None:
        return table.num_embeddings - table.padding_idx - 1
    return int(getattr(model.config, "max_position_embeddings", sys.maxsize))
