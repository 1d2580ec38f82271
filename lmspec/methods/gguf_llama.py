"""gguf_llama: a Llama as llama.cpp names it and lays it out, as transformers does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmspec.errors import LmspecError, some

ARCHITECTURE = "general.architecture"
# Those that mean something else than the values below say, such as `llama.rope.scaling.type`.
KNOWN = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "vocab_size",
}
NOTHING = (0, "none")  # values with which a setting does nothing
SAFETENSORS = "take the model's safetensors, or another file of it"
HEAD = "output.weight"  # absent where the embedding is the head
MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Tensor:
    """name: in transformers; heads: whose rows llama.cpp has in another order; 0: none."""

    name: str
    shape: tuple[int, ...]
    heads: int = 0


def require(settings: Mapping[str, Any], file: str) -> None:
    """Raise LmspecError unless the file is a whole Llama without settings that are not read."""
    architecture = settings.get(ARCHITECTURE)
    if architecture != "llama":
        found = f"it is {architecture!r}, and of GGUF files only 'llama' is read"
        remedy = (
            "take the model's safetensors; or convert this file once: `from_pretrained(..., "
            "gguf_file=...)` of transformers, then `save_pretrained`, and use the folder"
        )
        raise LmspecError(f"{file}, {ARCHITECTURE}", found, remedy)
    if (kind := settings.get("general.type", "model")) != "model":
        found = f"it is {kind!r}, not a model"
        raise LmspecError(f"{file}, general.type", found, "merge it into its model first")
    if (parts := settings.get("split.count", 0)) not in (0, 1):
        remedy = "merge its parts: `llama-gguf-split --merge FIRST OUT`"
        raise LmspecError(file, f"it is one of {parts} parts", remedy)
    for name, value in settings.items():
        own = name.removeprefix("llama.")
        if own != name and own not in KNOWN and value not in NOTHING:
            found = f"it is {str(value)[:60]}, and lmspec does not know what that changes"
            raise LmspecError(f"{file}, {name}", found, SAFETENSORS)


def config(settings: Mapping[str, Any], file: str, tokens: int, tied: bool) -> dict[str, Any]:
    """config.json of transformers. Raises LmspecError.

    tokens  in the tokenizer
    tied    is the head the embedding?
    """
    given = _Given(settings, file)
    if (rows := given.whole("vocab_size", tokens)) != tokens:
        raise given.error("vocab_size", f"it is {rows:,}, and the tokenizer has {tokens:,} tokens")
    if (layers := given.whole("block_count")) > MOST_LAYERS:
        raise given.error("block_count", f"it is {layers:,}, and at most {MOST_LAYERS:,} are read")
    ids = {"bos": "bos", "eos": "eos", "pad": "padding"}
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        **{f"{r}_token_id": settings.get(f"tokenizer.ggml.{n}_token_id") for r, n in ids.items()},
        "dtype": "float32",
        **_heads(given),
        "hidden_act": "silu",
        "hidden_size": given.whole("embedding_length"),
        "initializer_range": 0.02,
        "intermediate_size": given.whole("feed_forward_length"),
        "max_position_embeddings": given.whole("context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_hidden_layers": layers,
        "rms_norm_eps": given.fraction("attention.layer_norm_rms_epsilon"),
        "rope_parameters": {
            "rope_theta": given.fraction("rope.freq_base", 10000.0),
            "rope_type": "default",
        },
        "tie_word_embeddings": tied,
        "vocab_size": tokens,
    }


@dataclass(frozen=True)
class _Given:
    """Settings of the architecture, each of the kind that it must be."""

    settings: Mapping[str, Any]
    file: str

    def error(self, name: str, found: str) -> LmspecError:
        return LmspecError(f"{self.file}, llama.{name}", found, SAFETENSORS)

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.settings.get(f"llama.{name}", default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.error(name, f"it is {str(value)[:60]}, and must be a whole number above 0")
        return value

    def fraction(self, name: str, default: float | None = None) -> float:
        value = self.settings.get(f"llama.{name}", default)
        if not isinstance(value, float) or not 0 < value < math.inf:
            raise self.error(name, f"it is {str(value)[:60]}, and must be a number above 0")
        return value


def _heads(given: _Given) -> dict[str, int]:
    """How many, how many share keys, and how wide, all of which is rotated. Raises LmspecError."""
    heads = given.whole("attention.head_count")
    head = given.whole("attention.key_length", given.whole("embedding_length") // heads)
    for name in ("attention.value_length", "rope.dimension_count"):
        if (other := given.whole(name, head)) != head or head % 2:
            found = f"it is {other}, and the heads are {head} wide: both must be one even number"
            raise given.error(name, found)
    shared = given.whole("attention.head_count_kv", heads)
    if heads % shared:
        found = f"it is {shared}, and does not divide the {heads} heads"
        raise given.error("attention.head_count_kv", found)
    return {"head_dim": head, "num_attention_heads": heads, "num_key_value_heads": shared}


def tensors(config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Name in the GGUF file -> what it is in transformers, for every tensor of the model."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    queries, keys = heads * config["head_dim"], shared * config["head_dim"]
    layer = {
        "attn_norm": Tensor("input_layernorm", (width,)),
        "attn_q": Tensor("self_attn.q_proj", (queries, width), heads),
        "attn_k": Tensor("self_attn.k_proj", (keys, width), shared),
        "attn_v": Tensor("self_attn.v_proj", (keys, width)),
        "attn_output": Tensor("self_attn.o_proj", (width, queries)),
        "ffn_norm": Tensor("post_attention_layernorm", (width,)),
        "ffn_gate": Tensor("mlp.gate_proj", (inner, width)),
        "ffn_up": Tensor("mlp.up_proj", (inner, width)),
        "ffn_down": Tensor("mlp.down_proj", (width, inner)),
    }
    found = {
        "token_embd.weight": Tensor("model.embed_tokens.weight", (config["vocab_size"], width)),
        "output_norm.weight": Tensor("model.norm.weight", (width,)),
    }
    if not config["tie_word_embeddings"]:
        found[HEAD] = Tensor("lm_head.weight", (config["vocab_size"], width))
    for number in range(config["num_hidden_layers"]):
        for name, one in layer.items():
            own = f"model.layers.{number}.{one.name}.weight"
            found[f"blk.{number}.{name}.weight"] = Tensor(own, one.shape, one.heads)
    return found


def require_tensors(
    expected: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], file: str
) -> None:
    """Raise LmspecError unless the file has these tensors, in these shapes, and no other."""
    if missing := [name for name in expected if name not in shapes]:
        found = f"it lacks {len(missing)} of {len(expected)} tensors: {some(missing)}"
        raise LmspecError(file, found, SAFETENSORS)
    if others := [name for name in shapes if name not in expected]:
        found = f"it has tensors that a Llama does not: {some(others)}"
        raise LmspecError(file, found, SAFETENSORS)
    for name, tensor in expected.items():
        if shapes[name] != tensor.shape:
            found = f"its shape is {shapes[name]}, and by the file's settings {tensor.shape}"
            raise LmspecError(f"{file}, {name}", found, SAFETENSORS)


def order(tensor: Tensor) -> npt.NDArray[np.intp] | None:
    """Which row of llama.cpp's is each of transformers'; None if they are the same.

    Of each head llama.cpp has the pairs that are rotated together side by side; transformers has
    them half a head apart. Source: `permute` in convert_hf_to_gguf.py of llama.cpp.
    """
    if not tensor.heads:
        return None
    rows = np.arange(tensor.shape[0]).reshape(tensor.heads, -1, 2)
    return rows.swapaxes(1, 2).ravel()
