"""sensitivity: which matrix products lose most in int8, so that these few stay in fp32.

Few activations of a transformer are far larger than the others, mostly those between the two
matrices of a feed-forward block; one scale for all of them leaves the others few levels.
Source: Wu et al. 2020, arXiv:2004.09602, section 5.3; Bondarenko et al. 2021, arXiv:2109.12948.
"""

from collections.abc import Callable
from typing import NamedTuple

import onnx

from lmspec.errors import LmspecError
from lmspec.methods import quantizing
from lmspec.methods.reading import Floats
from lmspec.specs.quantized import Dynamic

PRODUCTS = ("MatMul", "Gemm")


class Cost(NamedTuple):
    """A matrix product. inputs, outputs: of its weights.

    difference  mean difference of the predicted probability if all but this one are in int8
    """

    name: str
    inputs: int
    outputs: int
    difference: float


def costs(
    prepared: onnx.ModelProto,
    scheme: Dynamic,
    before: Floats,
    predicted: Callable[[onnx.ModelProto], Floats],
) -> list[Cost]:
    """Each matrix product with weights, that with the most to gain in fp32 first.

    before     (n, k) probabilities of the graph in fp32
    predicted  those of another graph, of the same texts
    """
    found = []
    for name, (inputs, outputs) in products(prepared).items():
        after = predicted(quantizing.quantize(prepared, scheme, (), (name,)))
        lost = quantizing.loss_of(before, after)["mean_probability_difference"]
        found.append(Cost(name, inputs, outputs, lost))
    return sorted(found, key=lambda cost: (cost.difference, cost.name))


def products(prepared: onnx.ModelProto) -> dict[str, tuple[int, int]]:
    """Name -> shape of the weights, of each matrix product that the quantizer takes."""
    weights = {each.name: tuple(each.dims) for each in prepared.graph.initializer}
    return {
        node.name: (shape[0], shape[1])
        for node in prepared.graph.node
        if node.op_type in PRODUCTS and len(shape := weights.get(node.input[1], ())) == 2
    }


def require_more(prepared: onnx.ModelProto, in_float: int) -> None:
    """Raise LmspecError unless something is left to quantize."""
    count = len(products(prepared))
    if count <= in_float:
        found = f"the graph has {count} matrix products with weights"
        remedy = "leave fewer in fp32" if count > 1 else "leave `float_operations` out"
        raise LmspecError("quantized.scheme.float_operations", found, remedy)
