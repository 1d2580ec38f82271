"""llamacpp: a llama as llama.cpp has it: settings, tokens, rows of weights.

It undoes what methods/gguf_llama.py and methods/gguf_tokenizer.py read; what they would refuse is
refused here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from transformers import PretrainedConfig, PreTrainedModel

from lmspec.errors import LmspecError
from lmspec.methods import gguf_llama
from lmspec.methods.gguf_llama import ARCHITECTURE, Tensor
from lmspec.methods.gguf_tokenizer import CONTROL, CUTS, PREFIX, USER_DEFINED
from lmspec.specs.checks.exported import IN_GGUF, not_in_gguf

Floats = npt.NDArray[np.float32]
Settings = dict[str, Any]
LLAMA = "llama"  # what llama.cpp calls a mistral, too
NORMAL, UNUSED = 1, 5  # kinds of tokens
BIASES = ("attention_bias", "mlp_bias")
# What the byte-level BPE of GPT-2 is made of; another value would give other tokens.
MERGING: Mapping[str, Any] = {
    "dropout": None,
    "continuing_subword_prefix": "",
    "end_of_word_suffix": "",
    "byte_fallback": False,
    "ignore_merges": False,
}
OTHER = "export it with a cache: `format: {kind: cache, ...}`"


def settings(config: PretrainedConfig) -> Settings:
    """Of the network, by their names in a GGUF. Raises LmspecError if llama.cpp has another one."""
    require_known(config)
    shape = _shape(config)
    own = {
        "context_length": config.max_position_embeddings,
        "embedding_length": shape["hidden_size"],
        "block_count": shape["num_hidden_layers"],
        "feed_forward_length": shape["intermediate_size"],
        "vocab_size": shape["vocab_size"],
        "attention.head_count": shape["num_attention_heads"],
        "attention.head_count_kv": shape["num_key_value_heads"],
        "attention.key_length": shape["head_dim"],
        "attention.value_length": shape["head_dim"],
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.dimension_count": shape["head_dim"],
        "rope.freq_base": float(_rotation(config).get("rope_theta", 10000.0)),
    }
    return {ARCHITECTURE: LLAMA, "general.type": "model"} | {
        f"{LLAMA}.{name}": value for name, value in own.items()
    }


def require_known(config: PretrainedConfig) -> None:
    """Raise LmspecError if llama.cpp, or our reader, would compute something else."""
    place = f"a model of type {config.model_type}"
    if config.model_type not in IN_GGUF:
        raise LmspecError(place, *not_in_gguf(config.model_type))
    if bias := next((name for name in BIASES if getattr(config, name, False)), None):
        raise LmspecError(place, f"its layers have biases ({bias})", OTHER)
    if (kind := _rotation(config).get("rope_type", "default")) != "default":
        raise LmspecError(place, f"its positions are of kind {kind}", OTHER)
    if config.hidden_act != "silu":
        raise LmspecError(place, f"its activation is {config.hidden_act}", OTHER)
    window = getattr(config, "sliding_window", None)
    if window is not None and window < config.max_position_embeddings:
        found = f"it looks back {window} tokens at most, and llama.cpp would look back further"
        raise LmspecError(place, found, OTHER)


def _rotation(config: PretrainedConfig) -> Mapping[str, Any]:
    return config.rope_parameters or {}


def _shape(config: PretrainedConfig) -> dict[str, Any]:
    """Fields of a config.json, as methods/gguf_llama.py has them."""
    heads = config.num_attention_heads
    return {
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_word_embeddings,
    }


def expected(model: PreTrainedModel) -> dict[str, Tensor]:
    """Name in the file -> what it is in transformers, for every tensor of the model."""
    return gguf_llama.tensors(_shape(model.config))


def tensors(model: PreTrainedModel) -> Iterator[tuple[str, Floats]]:
    """(name, values) of each of them, in their order, one at a time."""
    state = model.state_dict()
    for name, tensor in expected(model).items():
        yield name, laid_out(tensor, state[tensor.name].float().cpu().numpy())


def laid_out(tensor: Tensor, values: Floats) -> Floats:
    """Rows of transformers in the order of llama.cpp's."""
    order = gguf_llama.order(tensor)
    return values if order is None else values[np.argsort(order)]


def tokens(tokenizer: Tokenizer, rows: int, ids: Mapping[str, int | None], bos: bool) -> Settings:
    """Of the tokenizer, by their names in a GGUF.

    rows  of the embedding: a token that the tokenizer lacks is unused
    ids   of the tokens for `bos`, `eos` and `padding`; None: there is none
    bos   does a text begin with that token?
    Raises LmspecError if llama.cpp has no such tokenizer.
    """
    values = json.loads(tokenizer.to_str())
    cut = _cut(values)
    known = {id_: token for token, id_ in tokenizer.get_vocab(with_added_tokens=True).items()}
    added = {token["id"]: token for token in values["added_tokens"]}
    kinds = [
        (CONTROL if added[id_]["special"] else USER_DEFINED)
        if id_ in added
        else NORMAL
        if id_ in known
        else UNUSED
        for id_ in range(rows)
    ]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in _merges(values)]
    return {
        f"{PREFIX}model": "gpt2",
        f"{PREFIX}pre": cut,
        f"{PREFIX}tokens": [known.get(id_, f"[PAD{id_}]") for id_ in range(rows)],
        f"{PREFIX}token_type": kinds,
        f"{PREFIX}merges": merges,
        **{f"{PREFIX}{role}_token_id": id_ for role, id_ in ids.items() if id_ is not None},
        f"{PREFIX}add_bos_token": bos,
        f"{PREFIX}add_eos_token": False,  # it would end each prompt
    }


def _merges(values: Mapping[str, Any]) -> Sequence[Any]:
    merges: Sequence[Any] = values["model"]["merges"]
    if not merges:
        raise _no_tokenizer("it merges nothing")
    return merges


def _cut(values: Mapping[str, Any]) -> str:
    """llama.cpp's name for how texts are cut before tokens are merged.

    values  of a tokenizer.json
    """
    model = values["model"]
    if model["type"] != "BPE" or (values.get("decoder") or {}).get("type") != "ByteLevel":
        raise _no_tokenizer(f"it is a {model['type']}, and only byte-level BPE is written")
    for field, plain in MERGING.items():
        if (value := model.get(field)) != plain and value:
            raise _no_tokenizer(f"its {field} is {value!r}")
    if (normalizer := values.get("normalizer")) is not None:
        raise _no_tokenizer(f"it changes texts first ({normalizer['type']})")
    for token in values["added_tokens"]:
        for field in ("single_word", "lstrip", "rstrip"):
            if token[field]:
                raise _no_tokenizer(f"{field} of its token {token['content']} is true")
    own = values.get("pre_tokenizer")
    for name, digits_alone in CUTS.items():
        if any(own == _pre_tokenizer(digits_alone, trimmed) for trimmed in (True, False)):
            return name
    names = " and ".join(CUTS)
    raise _no_tokenizer(f"it cuts texts in another way than those that are written, {names}")


def _pre_tokenizer(digits_alone: bool, trim_offsets: bool) -> dict[str, Any]:
    """As tokenizer.json has it. trim_offsets: changes no token."""
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": trim_offsets,
        "use_regex": True,
    }
    digits = {"type": "Digits", "individual_digits": True}
    return {"type": "Sequence", "pretokenizers": [digits, level]} if digits_alone else level


def _no_tokenizer(found: str) -> LmspecError:
    return LmspecError("tokenizer.json", found, OTHER)
