"""exported checks: which models that write can become a graph or a GGUF; which have operators."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

GGUF = "gguf"
DECODERS = ("llama", "mistral", "qwen2", "qwen3")  # `model_type` of a config.json
IN_GGUF = ("llama", "mistral")  # which llama.cpp calls a llama, too, and formats/gguf.py reads


def not_a_decoder(model_type: str) -> tuple[str, str]:
    """Why a model of another type has no graph, and what to do."""
    return (
        f"no graph is made of a {model_type}: its layers are not those of a llama",
        f"take a model of type {', '.join(DECODERS[:-1])} or {DECODERS[-1]}, or score the model"
        " itself",
    )


def not_in_gguf(model_type: str) -> tuple[str, str]:
    """Why no GGUF is made of a model of another type, and what to do."""
    return (
        f"no GGUF is made of a {model_type}, only of a {' or a '.join(IN_GGUF)}",
        "export it with a cache, or give its folder, which transformers reads, to"
        " convert_hf_to_gguf.py of llama.cpp",
    )


def is_gguf(exported: Mapping[str, Any]) -> bool:
    """Is it a file for llama.cpp, and no graph?"""
    form = exported.get("format")
    return form is not None and form["kind"] == GGUF


def operators_are_of_a_graph(exported: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A graph is of one version of the ONNX operators; a GGUF has none."""
    opset, has_none = exported.get("opset"), is_gguf(exported)
    if opset is None and not has_none:
        found = "a graph needs an opset"
        yield Disagreement((), found, "write `opset: 20`: `lmspec explain exported.opset`")
    elif opset is not None and has_none:
        others = ((("format", "kind"), "the format"),)
        yield Disagreement(("opset",), "a GGUF has no operators", "remove it", others)


def rounding_is_of_fewer_bits(exported: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Weights in 32 bits are those of the model: a logit off by more than 1 is another's."""
    most, form = exported["max_logit_difference"], exported.get("format")
    is_rounded = is_gguf(exported) and form is not None and form["weights"] != "f32"
    if most > 1 and not is_rounded:
        found = f"{most:g} would accept the logits of another model"
        yield Disagreement(("max_logit_difference",), found, "write at most 1, such as 1.0e-3")
