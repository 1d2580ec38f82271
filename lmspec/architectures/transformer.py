"""transformer: a pretrained encoder of any architecture of `transformers`, and a new head."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from lmspec.errors import LmspecError
from lmspec.methods import firsttoken, pretrained
from lmspec.methods import layers as parts
from lmspec.specs.architecture import Transformer

MASKS = ("full", "right", "left", "hole")
# What architectures of `transformers` call their dropouts; names that a config lacks are skipped.
INNER_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)
HEAD_DROPOUTS = ("classifier_dropout", "seq_classif_dropout", "cls_dropout")


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
    config = _config(weights / "config.json", labels)
    _set_dropout(config, spec.dropout, spec.classifier_dropout)
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


def _config(file: Path, labels: int) -> PretrainedConfig:
    """Read config.json. Raises LmspecError if it is not that of the weights beside it."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        for name in ("auto_map", "quantization_config"):
            if name in values:
                found = f"it has {name}: code or packages of its own"
                raise LmspecError(str(file), found, "take a model that transformers itself reads")
        config = AutoConfig.from_pretrained(file.parent, num_labels=labels, local_files_only=True)
    except LmspecError:
        raise
    except Exception as error:  # json, transformers and its checks of fields
        found = f"it cannot be read: {pretrained.shown(error)}"
        raise LmspecError(str(file), found, pretrained.REMEDY) from error
    for name in config.architectures or ():
        written_for = getattr(getattr(transformers, name, None), "config_class", type(config))
        if written_for is not type(config):
            found = f"its model_type is {config.model_type}, and its weights are of a {name}"
            raise LmspecError(str(file), found, pretrained.REMEDY)
    return config


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
    name, stack = parts.stack(teacher)
    wrong = [i for i in layers if i >= len(stack)]
    if wrong or list(layers) != sorted(set(layers)):
        raise LmspecError(
            "student.layers",
            f"{list(layers)}: the teacher has layers 0 to {len(stack) - 1}",
            "name each once, in order",
        )
    config = type(teacher.config).from_dict(
        teacher.config.to_dict() | {"num_hidden_layers": len(layers)}
    )
    _set_dropout(config, dropout, classifier_dropout)
    student = type(teacher)(config)
    weights = teacher.state_dict()
    state = {key: value for key, value in weights.items() if not key.startswith(f"{name}.")}
    for new, old in enumerate(layers):
        prefix = f"{name}.{old}."
        state |= {
            f"{name}.{new}.{key.removeprefix(prefix)}": value
            for key, value in weights.items()
            if key.startswith(prefix)
        }
    student.load_state_dict(state)
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


def _set_dropout(config: PretrainedConfig, inner: float, head: float) -> None:
    for field, names, value in (
        ("dropout", INNER_DROPOUTS, inner),
        ("classifier_dropout", HEAD_DROPOUTS, head),
    ):
        own = [name for name in names if hasattr(config, name)]
        if not own and value > 0:
            raise LmspecError(
                field, f"a {config.model_type} has no such dropout", f"set {field} to 0.0"
            )
        for name in own:
            setattr(config, name, value)
