"""checkpoint: a trained classifier on disk: safetensors, its config, its tokenizer, its labels."""

import functools
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from tokenizers import Tokenizer

from lmspec.errors import LmspecError, some
from lmspec.formats import roles
from lmspec.methods import ngrams, pretrained, torchrun
from lmspec.methods.network import Classifier
from lmspec.methods.ngrams import AnyTokenizer
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Reader
from lmspec.specs.architecture import KINDS
from lmspec.specs.numerics import Machine, Numerics

MOST_PROBED = 2048


@dataclass(frozen=True)
class Checkpoint:
    """A model in memory.

    kind       names the module in lmspec.architectures that implements it
    tokenizer   truncates texts to the model's maximum length, and does not pad
    labels      in the order of the logits
    long_texts  what is read of a text beyond that length
    clean       how the texts that it was trained on were repaired: see methods/repairing.py
    private     what a private training has spent: see training/private.py
    """

    kind: str
    model: Classifier
    tokenizer: AnyTokenizer
    labels: tuple[str, ...]
    pad_id: int
    long_texts: str | None
    clean: Mapping[str, bool]
    private: Mapping[str, float] | None = None

    @functools.cached_property
    def reader(self) -> Reader:
        """Encodes texts as the model was trained on them."""
        return Reader(self.tokenizer, self.long_texts)

    @property
    def max_length(self) -> int:
        """Tokens to which the tokenizer truncates a text; n-grams of which a graph is probed."""
        if not isinstance(self.tokenizer, Tokenizer):
            return MOST_PROBED
        truncation = self.tokenizer.truncation
        if truncation is None:
            raise ValueError(
                "the tokenizer of a checkpoint cuts texts to the model's length; this one does not"
            )
        return int(truncation["max_length"])


def write(checkpoint: Checkpoint, out: Path) -> None:
    """Write config.json, model.safetensors and tokenizer.json of transformers, and lmspec.json."""
    checkpoint.model.config.id2label = dict(enumerate(checkpoint.labels))
    checkpoint.model.config.label2id = {label: i for i, label in enumerate(checkpoint.labels)}
    checkpoint.model.config.name_or_path = ""  # else the folder that the weights came from
    checkpoint.model.save_pretrained(out)
    checkpoint.tokenizer.save(str(out / "tokenizer.json"))
    if isinstance(checkpoint.tokenizer, Tokenizer):
        special = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **roles.roles(checkpoint.tokenizer, checkpoint.pad_id),
        }
        (out / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
    about = {
        "kind": checkpoint.kind,
        "labels": list(checkpoint.labels),
        "pad_id": checkpoint.pad_id,
        "long_texts": checkpoint.long_texts,
        "clean": dict(checkpoint.clean),
    }
    if checkpoint.private:
        about["private"] = dict(checkpoint.private)
    (out / "lmspec.json").write_text(
        json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def read(folder: Path) -> Checkpoint:
    """Read a model, in evaluation mode.

    Imports the module of its kind, which is in the cache key of every stage that reads the model.
    Raises LmspecError if weights, config.json, tokenizer.json and lmspec.json are not of one model.
    """
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    if "labels" not in about:
        found = f"a model of kind {about['kind']} has answers, no labels"
        remedy = "score it with `generation`; `lmspec validate` says what is made from it"
        raise LmspecError(str(folder / "lmspec.json"), found, remedy)
    tokenizer = _tokenizer(folder)
    model = architecture(about["kind"]).load(folder).eval()
    labels = tuple(about["labels"])
    own = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
    if labels != own:
        found = f"its labels are {some(labels)}, and those of config.json {some(own)}"
        raise LmspecError(str(folder / "lmspec.json"), found, pretrained.RESTORE)
    rows = model.get_input_embeddings().num_embeddings
    if isinstance(tokenizer, Tokenizer):
        pretrained.require_tokens(tokenizer, rows, about["pad_id"], folder / "tokenizer.json")
        if tokenizer.truncation is None:
            found = "it cuts no text to the length that the model reads"
            raise LmspecError(str(folder / "tokenizer.json"), found, pretrained.RESTORE)
    elif tokenizer.size != model.config.ngrams or getattr(tokenizer, "offset", rows) != rows:
        found = f"it has {tokenizer.size:,} n-grams, and the model {model.config.ngrams:,}"
        raise LmspecError(str(folder / "tokenizer.json"), found, pretrained.RESTORE)
    return Checkpoint(
        about["kind"],
        model,
        tokenizer,
        labels,
        about["pad_id"],
        about["long_texts"],
        about["clean"],
        about.get("private"),
    )


def _tokenizer(folder: Path) -> AnyTokenizer:
    path = folder / "tokenizer.json"
    try:
        return ngrams.tokenizer(path)
    except (ValueError, TypeError) as error:
        found = f"it cannot be read: {pretrained.shown(error)}"
        raise LmspecError(str(path), found, pretrained.RESTORE) from error


def architecture(kind: str) -> ModuleType:
    """The module that implements a kind of model."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: the kinds are {KINDS}")
    return importlib.import_module(f"lmspec.architectures.{kind}")


def predictor(folder: Path, numerics: Numerics, machine: Machine) -> Predictor:
    """Read a model for prediction."""
    torch.set_num_threads(numerics.threads)
    model = read(folder)
    model.model.to(machine.device)
    return Predictor(torchrun.forward(model.model), model.reader, model.labels, model.pad_id)
