"""weights: a pretrained encoder for a new project: its size, and how it cuts texts into tokens."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lmspec.errors import LmspecError
from lmspec.scaffold.fetching import Fetched, Wanted, fetch

FILES = ("config.json", "tokenizer.json", "model.safetensors")
ENCODER = Wanted(FILES, (), gguf=False, what="encoder")


@dataclass(frozen=True)
class Weights:
    """An encoder in transformers' files.

    source        its fields in `sources` of params.yaml
    label         as people name it
    folder        where its files are now
    most_tokens   that it can read at once, special ones included
    layers, width of the encoder
    local         a folder to copy into the project; None if the source is fetched
    """

    source: dict[str, Any]
    label: str
    folder: Path
    tokenizer: Tokenizer
    most_tokens: int
    layers: int
    width: int
    local: Path | None

    @property
    def multiplications(self) -> int:
        """Per token and pass forward: 12 width² in each layer."""
        return self.layers * 12 * self.width**2

    def count(self, text: str) -> tuple[int, int]:
        """Tokens of a text, special ones included, and how many are unknown."""
        encoding = self.tokenizer.encode(text)
        unknown = getattr(self.tokenizer.model, "unk_token", None)
        return len(encoding.ids), encoding.tokens.count(unknown) if unknown else 0


def find(text: str, scratch: Path) -> Weights:
    """Download or open what `--weights` names. Raises LmspecError if it is no encoder.

    scratch  an empty folder for what is downloaded
    """
    return _described(fetch(text, scratch, ENCODER))


def _described(found: Fetched) -> Weights:
    try:
        config = json.loads((found.folder / "config.json").read_text(encoding="utf-8"))
        layers, width = int(config["num_hidden_layers"]), int(config["hidden_size"])
    except (ValueError, KeyError, TypeError) as error:
        reason = f"its config.json is that of no encoder: {error}"
        remedy = "it needs num_hidden_layers and hidden_size"
        raise LmspecError(found.label, reason, remedy) from None
    tokenizer = tokenizer_in(found.folder, found.label, ENCODER)
    most = config.get("max_position_embeddings")
    # RoBERTa's positions begin after its padding id
    offset = int(config.get("pad_token_id") or 0) + 1 if "roberta" in _kind(config) else 0
    return Weights(
        found.source,
        found.label,
        found.folder,
        tokenizer,
        int(most) - offset if isinstance(most, int) and math.isfinite(most) else 512,
        layers,
        width,
        found.local,
    )


def tokenizer_in(folder: Path, label: str, wanted: Wanted) -> Tokenizer:
    """The tokenizer of weights, which neither cuts nor pads. Raises LmspecError."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises Exception itself
        found = f"its tokenizer.json cannot be read: {error}"
        raise LmspecError(label, found, f"name another {wanted.what}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _kind(config: dict[str, Any]) -> str:
    return str(config.get("model_type", ""))
