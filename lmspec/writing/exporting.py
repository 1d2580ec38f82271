"""exporting: a model that writes as an ONNX graph with a cache of keys and values.

The graph is written node by node from the settings and the weights of a model of the llama family,
with the fused operators of onnxruntime. A traced graph has thousands of nodes that a later release
of torch or transformers changes, and attention that copies the cache.

    input_ids (b, s), attention_mask (b, t), past_key_values.N.key and .value (b, heads, p, d)
    -> logits (b, s, V), present.N.key and .value (b, heads, t, d)

Columns of the mask are tokens: p of the past, then s new ones. A row may be padded on the left or
on the right. In a batch of several rows a past is followed by one token. `logits_to_keep` may be
fed, too: of how many of the last tokens logits are wanted; without it, of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from transformers import PretrainedConfig, PreTrainedModel

from lmspec.errors import LmspecError, some
from lmspec.specs.checks.exported import DECODERS, not_a_decoder
from lmspec.writing.onnxgraph import IDS, KEEP, LOGITS, MASK, MICROSOFT, PAST, Array, Graph

STATIC = ("default", "linear", "dynamic", "llama3", "yarn")  # rotations that no length changes
ALL = 2**31 - 1  # tokens: more than any text has
MASKED = 3.0e38  # subtracted from the scores of padding; infinity would make NaN of a row of it
EMBEDDING, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


def export(model: PreTrainedModel, max_past: int, opset: int) -> Graph:
    """The graph of a model, for texts of at most so many tokens.

    Raises LmspecError if the model computes what the graph could not.
    """
    require_known(model.config, max_past)
    with torch.inference_mode():
        state = {name: value.float().cpu().numpy() for name, value in model.state_dict().items()}
        cos, sin = rotations(model, max_past)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    return _Writing(model.config, state, opset).graph(cos, sin, tied)


def require_known(config: PretrainedConfig, max_past: int) -> None:
    """Raise LmspecError if the graph would compute something else than the model."""
    place = f"a model of type {config.model_type}"
    if config.model_type not in DECODERS:
        raise LmspecError(place, *not_a_decoder(config.model_type))
    if max_past > config.max_position_embeddings:
        found = f"{max_past} is more than the {config.max_position_embeddings} positions of it"
        raise LmspecError("exported.format.max_past", found, "lower it")
    rotation = (config.rope_parameters or {}).get("rope_type", "default")
    if rotation not in STATIC:
        found = f"its positions are of kind {rotation}, and no table of them holds for all texts"
        raise LmspecError(place, found, f"take one with positions of {some(STATIC)}")
    window = getattr(config, "sliding_window", None)
    if window is not None and window < max_past:
        found = f"it looks back {window} tokens at most, and max_past is {max_past}"
        raise LmspecError("exported.format.max_past", found, f"lower it to {window}")
    if config.hidden_act != "silu":
        raise LmspecError(place, f"its activation is {config.hidden_act}", "take one with silu")


def rotations(model: PreTrainedModel, count: int) -> tuple[Array, Array]:
    """cos, sin (count, d / 2) of each position, as the model itself computes them."""
    rotary: Any = model.base_model.rotary_emb
    cos, sin = rotary(torch.zeros(1, device=model.device), torch.arange(count)[None])
    half = cos.shape[-1] // 2
    first, second = (part[0, :, :half].float().cpu().numpy() for part in (cos, sin))
    return first, second


class _Writing:
    """A graph as it grows. A value is called as the module that computes it."""

    def __init__(self, config: PretrainedConfig, state: Mapping[str, Array], opset: int) -> None:
        self.config, self.state, self.opset = config, state, opset
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}

    def graph(self, cos: Array, sin: Array, tied: bool) -> Graph:
        """All of it."""
        self._constant("cos", cos)
        self._constant("sin", sin)
        self._constant(KEEP, np.array([ALL], np.int64))
        self._places()
        new = self._add("Gather", [self._weight(EMBEDDING), IDS], "model.embed_tokens")
        stream: str | None = None
        for number in range(self.config.num_hidden_layers):
            new, stream = self._layer(number, new, stream)
        final, _ = self._norm(NORM, new, stream)
        self._head(final, tied)
        layers = range(self.config.num_hidden_layers)
        cached = [f"{i}.{part}" for i in layers for part in ("key", "value")]
        cache = "batch", self.kv_heads, "past", self.width
        grown = "batch", self.kv_heads, "total", self.width
        inputs = [
            self._value(IDS, TensorProto.INT64, ("batch", "new")),
            self._value(MASK, TensorProto.INT64, ("batch", "total")),
            *(self._value(f"{PAST}{name}", TensorProto.FLOAT, cache) for name in cached),
            self._value(KEEP, TensorProto.INT64, (1,)),
        ]
        outputs = [
            self._value(
                LOGITS, TensorProto.FLOAT, ("batch", "kept", len(self.constants[EMBEDDING]))
            ),
            *(self._value(f"present.{name}", TensorProto.FLOAT, grown) for name in cached),
        ]
        graph = helper.make_graph(self.nodes, "decoder", inputs, outputs)
        sets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        version = 10 if self.opset < 23 else 11  # of the format of the file, which opset 23 needs
        model = helper.make_model(graph, opset_imports=sets, ir_version=version)
        return Graph(model, self.constants)

    def _places(self) -> None:
        """Of the mask: the column of each row's last token, and what padding adds to scores.

        A token's position is its column, also in a row that is padded on the left: rotations tell
        distances alone. (With `position_ids`, onnxruntime 1.32 takes the columns for those of a
        prompt all the same, and the positions for those of a step: logits were off by 12.)
        """
        self._constant("one", np.array(1, np.int64))
        self._constant("axes", np.array([1], np.int64))
        self._constant("middle", np.array([1, 2], np.int64))
        self._constant("masked", np.array(MASKED, np.float32))
        self._constant("float_one", np.array(1, np.float32))
        self._add("Shape", [IDS], "batch_size", start=0, end=1)
        self._add("Shape", [IDS], "new_tokens", start=1, end=2)
        self._add("Shape", [MASK], "all_tokens", start=1, end=2)
        self._add("Squeeze", ["new_tokens"], "new")
        self._add("Squeeze", ["all_tokens"], "total")
        self._add("Cast", ["total"], "total_sequence_length", to=TensorProto.INT32)
        self._add("Add", ["total", "one"], "after")
        self._add("Range", ["one", "after", "one"], "numbers")
        self._add("Mul", [MASK, "numbers"], "numbered")
        self._add("ReduceMax", ["numbered", "axes"], "lengths", keepdims=0)
        self._add("Sub", ["lengths", "one"], "last")
        self._add("Cast", ["last"], "seqlens_k", to=TensorProto.INT32)
        self._add("Cast", [MASK], "mask", to=TensorProto.FLOAT)
        self._add("Sub", ["mask", "float_one"], "missing")
        self._add("Mul", ["missing", "masked"], "scores")
        self._add("Unsqueeze", ["scores", "middle"], "scores_4d")
        self._add("Concat", ["batch_size", "axes", "new_tokens", "all_tokens"], "shape", axis=0)
        self._add("Expand", ["scores_4d", "shape"], "bias")

    def _layer(self, number: int, new: str, stream: str | None) -> tuple[str, str]:
        """What it adds to the stream, and the stream before that."""
        at = f"model.layers.{number}"
        normed, stream = self._norm(f"{at}.input_layernorm.weight", new, stream)
        query, key, value = self._projected(f"{at}.self_attn", normed)
        cached = [f"{number}.{part}" for part in ("key", "value")]
        attended = self._add(
            "GroupQueryAttention",
            [
                *(query, key, value),
                *(f"{PAST}{name}" for name in cached),
                *("seqlens_k", "total_sequence_length", "cos", "sin", "", "bias"),
            ],
            [f"{at}.self_attn", *(f"present.{name}" for name in cached)],
            domain=MICROSOFT,
            num_heads=self.heads,
            kv_num_heads=self.kv_heads,
            do_rotary=1,
            scale=float(self.width**-0.5),
        )
        new = self._linear(f"{at}.self_attn.o_proj", attended)
        normed, stream = self._norm(f"{at}.post_attention_layernorm.weight", new, stream)
        parts = [f"{at}.mlp.gate_proj", f"{at}.mlp.up_proj"]
        both = self._linear(f"{at}.mlp.gate_up_proj", normed, parts)
        self._add("Split", [both], parts, axis=-1, num_outputs=2)
        self._add("Sigmoid", parts[:1], f"{at}.mlp.sigmoid")
        self._add("Mul", [parts[0], f"{at}.mlp.sigmoid"], f"{at}.mlp.act_fn")
        self._add("Mul", [f"{at}.mlp.act_fn", parts[1]], f"{at}.mlp")
        return self._linear(f"{at}.mlp.down_proj", f"{at}.mlp"), stream

    def _projected(self, module: str, normed: str) -> tuple[str, str, str]:
        """Query, key and value: as one, of one product, unless heads are normed.

        A step of SmolLM2-135M takes 2 % less time than with three products, and has the same bits.
        """
        parts = [f"{module}.{n}_proj" for n in "qkv"]
        if f"{module}.q_norm.weight" not in self.state:
            return self._linear(f"{module}.qkv_proj", normed, parts), "", ""
        query, key, value = (self._linear(part, normed) for part in parts)
        query = self._norm_of_heads(f"{module}.q_norm", query, self.heads)
        return query, self._norm_of_heads(f"{module}.k_norm", key, self.kv_heads), value

    def _head(self, final: str, tied: bool) -> None:
        """The logits of the last tokens. A head that is tied reads the embedding as it is."""
        self._constant("end", np.array([ALL], np.int64))
        self._add("Neg", [KEEP], "start")
        kept = self._add("Slice", [final, "start", "end", "axes"], "kept")
        if tied:
            self._add("FusedMatMul", [kept, EMBEDDING], LOGITS, domain=MICROSOFT, transB=1)
            return
        name = self._constant(HEAD, self.state[HEAD].T)
        bias = "lm_head.bias" in self.state
        self._add("MatMul", [kept, name], f"{LOGITS}.product" if bias else LOGITS)
        if bias:
            self._add("Add", [f"{LOGITS}.product", self._weight("lm_head.bias")], LOGITS)

    def _norm(self, name: str, new: str, stream: str | None) -> tuple[str, str]:
        """Of the stream with what is new in it; and that stream."""
        out, eps = name.removesuffix(".weight"), float(self.config.rms_norm_eps)
        if stream is None:
            self._rms(name, new, out)
            return out, new
        total = f"{out}.stream"
        ins = [new, stream, self._weight(name)]
        outs = [out, "", "", total]
        self._add("SkipSimplifiedLayerNormalization", ins, outs, domain=MICROSOFT, epsilon=eps)
        return out, total

    def _norm_of_heads(self, module: str, value: str, heads: int) -> str:
        """(b, s, heads * d), with each head's d normed."""
        apart = self._constant(f"{module}.apart", np.array([0, 0, heads, self.width], np.int64))
        joined = self._constant(f"{module}.joined", np.array([0, 0, -1], np.int64))
        self._add("Reshape", [value, apart], f"{module}.heads")
        self._rms(f"{module}.weight", f"{module}.heads", f"{module}.normed")
        return self._add("Reshape", [f"{module}.normed", joined], module)

    def _rms(self, name: str, value: str, out: str) -> None:
        eps, ins = float(self.config.rms_norm_eps), [value, self._weight(name)]
        self._add("SimplifiedLayerNormalization", ins, out, axis=-1, epsilon=eps, stash_type=1)

    def _linear(self, module: str, value: str, parts: Sequence[str] = ()) -> str:
        """A product, with a bias if it has one; of parts, their outputs side by side."""
        weights, biases = (
            [
                self.state[name]
                for part in parts or [module]
                if (name := f"{part}.{kind}") in self.state
            ]
            for kind in ("weight", "bias")
        )
        weight = self._constant(f"{module}.weight", np.concatenate(weights).T)
        if not biases:
            return self._add("MatMul", [value, weight], module)
        product = self._add("MatMul", [value, weight], f"{module}.product")
        bias = self._constant(f"{module}.bias", np.concatenate(biases))
        return self._add("Add", [product, bias], module)

    def _weight(self, name: str) -> str:
        return self._constant(name, self.state[name])

    def _constant(self, name: str, value: Array) -> str:
        self.constants[name] = value
        return name

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: str | Sequence[str], **fields: Any
    ) -> str:
        """A node; returns its first output."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{names[0]}.node", **fields))
        return names[0]

    @staticmethod
    def _value(name: str, kind: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)
