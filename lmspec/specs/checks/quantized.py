"""quantized checks: which int8 scheme suits which network."""

from collections.abc import Collection

NO_GRU = "onnxruntime has no int8 kernel for a GRU", "leave it in fp32, or use an lstm"
NOTHING = (
    "a linear model computes sums, not matrix products: there is nothing to quantize",
    "bundle its exported graph: with fewer `max_features` it is smaller",
)
# (kind of an architecture or of its cells, scheme): why it does not suit, what to do
UNSUITED = {
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
    if "GRU" in operations or "LSTM" in operations:
        return "gru" if "GRU" in operations else "lstm"
    if "Softmax" in operations:
        return None
    return "cnn" if "Conv" in operations else "linear" if "Log" in operations else None
