"""masked: a pretrained encoder with a head that guesses masked tokens, and what is kept of it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForMaskedLM, PreTrainedModel

from lmspec.architectures import transformer
from lmspec.errors import LmspecError
from lmspec.methods import pretrained
from lmspec.specs.architecture import Transformer
from lmspec.specs.pretrained import PretrainedSpec
from lmspec.training.masking import Vocabulary

MASKS = ("[MASK]", "<mask>")
POOLER = "pooler."
TOKENIZER = ("tokenizer.json", *pretrained.SPECIAL)


@dataclass(frozen=True)
class Masked:
    """An encoder that guesses tokens. has_head: its source had the head; else it is drawn."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    pad_id: int
    words: Vocabulary
    has_head: bool


def create(spec: PretrainedSpec, weights: Path) -> Masked:
    """The encoder of a folder, with its own head for masked tokens or a new one."""
    plain = Transformer(
        kind="transformer",
        weights=spec.of,
        max_length=spec.max_length,
        long_texts="windows",
        dropout=spec.dropout,
        classifier_dropout=0.0,
        frozen_embeddings=spec.frozen_embeddings,
        frozen_layers=spec.frozen_layers,
    )
    model, tokenizer, pad_id = transformer.start(AutoModelForMaskedLM, plain, weights, 2)
    prefix = f"{model.base_model_prefix}."
    own = [name.removeprefix(prefix) for name in _tensors(weights)]
    has_head = any(pretrained.is_of_head(n, "") and not n.startswith(POOLER) for n in own)
    return Masked(model, tokenizer, pad_id, _words(tokenizer, weights), has_head)


def write(masked: Masked, weights: Path, out: Path) -> None:
    """What `pretrained.load` reads: the model, the source's pooler, which it lacks, and tokenizer.

    weights  folder of the source
    """
    masked.model.config.name_or_path = ""
    masked.model.save_pretrained(out)
    prefix = masked.model.base_model_prefix
    own = {
        name.removeprefix(f"{prefix}."): (name, file) for name, file in _tensors(weights).items()
    }
    file = out / pretrained.WEIGHTS
    tensors = load_file(file)
    poolers: dict[str, Tensor] = {}
    for name, (theirs, shard) in own.items():
        if name.startswith(POOLER) and f"{prefix}.{name}" not in tensors:
            with safe_open(shard, "pt") as opened:
                poolers[f"{prefix}.{name}"] = opened.get_tensor(theirs).float()
    save_file(tensors | poolers, file, {"format": "pt"})
    for name in TOKENIZER:
        if (weights / name).is_file():
            shutil.copyfile(weights / name, out / name)


def _tensors(weights: Path) -> dict[str, Path]:
    """Name of each tensor of a source -> the file that has it."""
    found: dict[str, Path] = {}
    for file in sorted(weights.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            found |= dict.fromkeys(opened.keys(), file)
    return found


def _words(tokenizer: Tokenizer, weights: Path) -> Vocabulary:
    mask = next(filter(None, map(tokenizer.token_to_id, MASKS)), None)
    if mask is None:
        found = f"it has no mask: neither {' nor '.join(MASKS)}"
        remedy = "take an encoder that was trained as a masked language model"
        raise LmspecError(str(weights / "tokenizer.json"), found, remedy)
    special = {i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
    ids = set(tokenizer.get_vocab(with_added_tokens=True).values()) - special - {mask}
    return Vocabulary(mask, np.asarray(sorted(ids), np.int64))
