"""quantized checks: which int8 scheme suits which network, and which contract."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

NO_GRU = "onnxruntime has no int8 kernel for a GRU", "leave it in fp32, or use an lstm"
NOTHING = (
    "a linear model computes sums, not matrix products: there is nothing to quantize",
    "bundle its exported graph: with fewer `max_features` it is smaller",
)
WRECKED = (
    "a few activations of a model that writes are a thousand times the others and would share a"
    " scale with them: its logits would be off by 24, and depend on what is beside them",
    "use weight_only for a model that writes",
)
OF_WRITERS = ("max_loss_increase", "min_greedy_prefix")
NEEDED_OF_WRITERS = (*OF_WRITERS, "max_batch_difference")
# (kind of an architecture or of its cells, scheme): why it does not suit, what to do
UNSUITED = {
    ("causal", "dynamic"): WRECKED,
    ("causal", "static"): WRECKED,
    ("causal", "fp16"): (
        "a graph with a cache is not written in fp16",
        "use weight_only for a model that writes",
    ),
    ("cnn", "dynamic"): (
        "an int8 convolution with dynamic scales is slower than fp32",
        "use static for a cnn",
    ),
    ("gru", "dynamic"): NO_GRU,
    ("gru", "static"): NO_GRU,
    ("linear", "dynamic"): NOTHING,
    ("linear", "static"): NOTHING,
    ("lstm", "static"): (
        "onnxruntime's int8 kernel for an LSTM supports dynamic scales only",
        "use dynamic for an lstm",
    ),
}


def kind_of(operations: Collection[str]) -> str | None:
    """What `UNSUITED` calls a graph with those operations; None for any other network.

    Transformers may have convolutions, but none is without the softmax of its attention. Only term
    frequencies have logarithms.
    """
    if "GroupQueryAttention" in operations:
        return "causal"
    if "GRU" in operations or "LSTM" in operations:
        return "gru" if "GRU" in operations else "lstm"
    if "Softmax" in operations:
        return None
    return "cnn" if "Conv" in operations else "linear" if "Log" in operations else None


def contract_is_of_the_scheme(quantized: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What a model that writes may lose is about its loss, its answers and its company."""
    is_writer, contract = quantized["scheme"]["kind"] == "weight_only", quantized["contract"]
    others = ((("scheme", "kind"), "the scheme"),)
    for field in NEEDED_OF_WRITERS:
        value = contract.get(field)
        if is_writer and value is None:
            found = f"the contract has no {field}"
            remedy = "add it: `lmspec explain quantized.contract`"
            yield Disagreement(("contract",), found, remedy, others)
        elif not is_writer and field in OF_WRITERS and value is not None:
            found = f"{field} is of models that write"
            yield Disagreement(("contract", field), found, "remove it", others)
