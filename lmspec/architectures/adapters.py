"""adapters: a few trained weights beside frozen ones, merged into these when training ends (peft).

Only stages whose spec has an adapter import this file, and with it peft.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from lmspec.errors import LmspecError, some
from lmspec.methods import layers, pretrained, reading, torchrun
from lmspec.methods.reading import Ids
from lmspec.specs.architecture import Causal, Transformer
from lmspec.specs.checks.adapter import ALL
from lmspec.specs.numerics import Numerics
from lmspec.training.seeds import derived_seed

FOLDER = "adapter"
PROBED, BATCH = 256, 64  # windows on which the merge is checked
MOST_DIFFERENCE = 1e-4  # between logits, before and after the merge
Logits = Callable[[], NDArray[np.float32]]
ATTENTION = ("attention", "attn")  # how architectures of `transformers` call it


class Adapted:
    """A network with an adapter, which is a part of it until `merge`.

    trained  number of weights that are trained: the adapter's and the head's
    """

    def __init__(
        self,
        network: PreTrainedModel,
        spec: Transformer | Causal,
        numerics: Numerics,
        task_type: str = TaskType.SEQ_CLS,
    ) -> None:
        assert spec.adapter is not None
        self.network, self.base = network, str(spec.weights)
        config = LoraConfig(
            task_type=task_type,
            r=spec.adapter.rank,
            lora_alpha=spec.adapter.alpha,
            lora_dropout=spec.adapter.dropout,
            target_modules=_targets(network, spec.adapter.targets, spec.frozen_layers),
            bias=spec.adapter.bias,
            use_rslora=spec.adapter.method == "rslora",
            use_dora=spec.adapter.method == "dora",
            # a head that writes is pretrained, too, and often the embeddings
            modules_to_save=_heads(network) if task_type == TaskType.SEQ_CLS else None,
        )
        # a draw of its own: the head is the one that it would be without an adapter
        torch.manual_seed(derived_seed(numerics.seed, "adapter", 0))
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # peft's own calls
            self.peft: PeftModel = get_peft_model(network, config)
        self.trained = sum(p.numel() for p in network.parameters() if p.requires_grad)

    def merge(self, ids: Sequence[Ids], pad_id: int, folder: Path) -> float:
        """Write the adapter, then add it to the weights of a classifier, in place.

        ids  windows, of which some are read before and after
        Returns the largest difference between logits. Raises LmspecError if it is too large.
        """
        return self.merge_checked(lambda: self._logits(ids[:PROBED], pad_id), folder)

    def merge_checked(
        self, logits: Logits, folder: Path, most_difference: float = MOST_DIFFERENCE
    ) -> float:
        """The same of any network. logits: of texts, as the network is when it is called."""
        before = logits()
        self._write(folder / FOLDER)
        self.peft.merge_and_unload()
        apart = np.abs(logits() - before).max()
        if not apart <= most_difference:
            found = f"merged into the weights, it gives logits that are {apart:.2g} apart from its"
            found += f" own on dev texts; at most {most_difference:g} is right"
            remedy = "lower peak_learning_rate or alpha: fp32 has no digits for such weights"
            raise LmspecError("architecture.adapter", found, remedy)
        return float(apart)

    def _logits(self, ids: Sequence[Ids], pad_id: int) -> NDArray[np.float32]:
        self.network.eval()
        return reading.logits(torchrun.forward(self.network), ids, pad_id, BATCH)

    def _write(self, folder: Path) -> None:
        """The files that `PeftModel.from_pretrained` reads, without paths of this machine."""
        folder.mkdir()
        weights = get_peft_model_state_dict(self.peft)
        tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        config = self.peft.peft_config["default"].to_dict() | {
            "base_model_name_or_path": self.base,
            "inference_mode": True,
        }
        text = json.dumps(config, indent=2, sort_keys=True, default=sorted)  # it has sets
        (folder / pretrained.ADAPTER).write_text(f"{text}\n", encoding="utf-8")


def _targets(network: PreTrainedModel, wanted: Sequence[str], frozen: int) -> list[str]:
    """Names of the linear layers that get an adapter. Raises LmspecError if one is not found."""
    name, stack = layers.stack(network)
    linear = [
        f"{i}.{part}"
        for i, layer in enumerate(stack)
        if i >= frozen
        for part, module in layer.named_modules()
        if isinstance(module, nn.Linear)
    ]
    if not linear:
        found = f"all {len(stack)} layers are frozen: none is left for an adapter"
        raise LmspecError("architecture.frozen_layers", found, "lower it")
    for target in wanted:
        if not any(_is(part, target) for part in linear):
            own = dict.fromkeys(part.partition(".")[2] for part in linear)
            found = f"{network.config.model_type} has no linear layer {target}"
            raise LmspecError("architecture.adapter.targets", found, f"it has {some([*own])}")
    return [f"{name}.{part}" for part in linear if any(_is(part, target) for target in wanted)]


def _is(name: str, target: str) -> bool:
    steps = name.split(".")
    if target == "attention":
        return any(word in step for step in steps for word in ATTENTION)
    return target == ALL or f".{name}".endswith(f".{target}")


def _heads(network: PreTrainedModel) -> list[str]:
    """Names of the modules that are trained whole: all beside the body, and its pooler."""
    body = network.base_model_prefix
    inside = getattr(network, body).named_children()
    parts = [(name, part) for name, part in network.named_children() if name != body]
    parts += [(f"{body}.{name}", part) for name, part in inside if pretrained.is_of_head(name, "")]
    return [name for name, part in parts if next(part.parameters(), None) is not None]
