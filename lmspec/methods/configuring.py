"""configuring: the config of a pretrained model: read, its dropouts set, with fewer layers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from lmspec.errors import LmspecError
from lmspec.methods import layers as parts
from lmspec.methods import pretrained

# What architectures of `transformers` call their dropouts; names that a config lacks are skipped.
INNER_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
)
HEAD_DROPOUTS = ("classifier_dropout", "seq_classif_dropout", "cls_dropout")


def read(file: Path, **given: Any) -> PretrainedConfig:
    """A config.json, with what is given. Raises LmspecError if it is not that of the weights beside
    it."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        for name in ("auto_map", "quantization_config"):
            if name in values:
                found = f"it has {name}: code or packages of its own"
                raise LmspecError(str(file), found, "take a model that transformers itself reads")
        config = AutoConfig.from_pretrained(file.parent, local_files_only=True, **given)
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


def set_dropout(config: PretrainedConfig, inner: float, head: float) -> None:
    """Raises LmspecError if the architecture has no dropout to set, unless it is 0."""
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


def shrunk(
    teacher: PreTrainedModel, layers: Sequence[int], dropout: float, head_dropout: float
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
    fields = teacher.config.to_dict() | {"num_hidden_layers": len(layers)}
    if kinds := fields.get("layer_types"):  # one for each layer
        fields["layer_types"] = [kinds[i] for i in layers]
    config = type(teacher.config).from_dict(fields)
    set_dropout(config, dropout, head_dropout)
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
    return student
