"""blockwise: matrices of a graph in whole numbers of 8 or 4 bits, with a scale for each block.

A block is a run of neighbours in one row of a weight matrix, of the inputs that one output sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from lmspec.errors import LmspecError
from lmspec.specs.quantized import WeightOnly
from lmspec.writing.onnxgraph import IDS, LOGITS, MICROSOFT, Array, Graph

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
PLACE = "quantized.scheme"
LEVELS = {"int8": 4, "float": 1}  # `accuracy_level` of MatMulNBits, by what activations become
PRODUCTS = ("MatMul", "FusedMatMul", "Gemm")
# The kernels of onnxruntime 1.32 for AVX-512 take so many inputs at a time, and what is beyond a
# multiple of that block by block, each of which takes as long: a product of 576 inputs took 1.3
# times as long as one of 640. So a large matrix is filled up with zeros, when a session begins; the
# file has none of them.
STRIDE, LARGE, MOST = 128, 2**20, 1 / 8  # inputs; numbers of a matrix; zeros for each input
ROWS = 4096  # of a matrix that are quantized at once: copies of all would take its size five times


@dataclass(frozen=True)
class Blocks:
    """A matrix (n, k) in whole numbers.

    packed  (n, blocks, block * bits / 8); of 4 bits the first of two numbers is the lower half
    scales  (n, blocks)
    zeros   (n, blocks * bits / 8) what stands for 0; None where it is 2**(bits - 1)
    """

    packed: Bytes
    scales: Floats
    zeros: Bytes | None


def quantized(matrix: Array, bits: int, block: int, symmetric: bool) -> Blocks:
    """Each number becomes the nearest of 2**bits in its block: those around 0, or, if it is not
    symmetric, those from the block's least to its largest. The last block may be filled with 0."""
    starts = range(0, len(matrix), ROWS)
    parts = [_quantized(matrix[i : i + ROWS], bits, block, symmetric) for i in starts]
    zeros = [part.zeros for part in parts if part.zeros is not None]
    return Blocks(
        np.concatenate([part.packed for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate(zeros) if zeros else None,
    )


def _quantized(matrix: Array, bits: int, block: int, symmetric: bool) -> Blocks:
    rows, columns = matrix.shape
    filled = np.pad(matrix, ((0, 0), (0, -columns % block))).astype(np.float32, copy=False)
    values, half = filled.reshape(rows, -1, block), 2 ** (bits - 1)
    if symmetric:
        span, zeros = np.abs(values).max(-1) / (half - 1), np.full((1, 1, 1), half, np.float32)
    else:
        low, high = np.minimum(values.min(-1), 0), np.maximum(values.max(-1), 0)
        span = (high - low) / (2 * half - 1)
    scales = np.where(span > 0, span, 1).astype(np.float32)
    if not symmetric:
        zeros = np.clip(np.rint(-low / scales), 0, 2 * half - 1).astype(np.float32)[..., None]
    whole = np.clip(np.rint(values / scales[..., None]) + zeros, 0, 2 * half - 1)
    packed = _packed(whole.astype(np.uint8), bits)
    if symmetric:
        return Blocks(packed, scales, None)
    return Blocks(packed, scales, _packed(zeros[..., 0].astype(np.uint8), bits))


def _packed(numbers: Bytes, bits: int) -> Bytes:
    """Two of 4 bits in a byte, along the last axis."""
    if bits == 8:
        return numbers
    if numbers.shape[-1] % 2:
        numbers = np.concatenate([numbers, np.zeros_like(numbers[..., :1])], -1)
    return _byte(numbers[..., 0::2] | numbers[..., 1::2] << 4)


def _byte(values: NDArray[Any]) -> Bytes:
    return values.astype(np.uint8)


def restored(blocks: Blocks, bits: int, columns: int) -> Floats:
    """The matrix (n, columns) that they stand for."""
    whole = _apart(blocks.packed, bits)
    offset: Floats = np.full(blocks.scales.shape, 2 ** (bits - 1), np.float32)
    if blocks.zeros is not None:
        count = blocks.scales.shape[-1]  # without the one that may fill the last byte
        offset = _apart(blocks.zeros, bits)[..., :count].astype(np.float32)
    values = (whole.astype(np.float32) - offset[..., None]) * blocks.scales[..., None]
    result: Floats = values.reshape(len(whole), -1)[:, :columns]
    return result


def _apart(packed: Bytes, bits: int) -> Bytes:
    """What `_packed` packed, perhaps with one number more."""
    if bits == 8:
        return packed
    both: NDArray[Any] = np.stack([packed & 15, packed >> 4], -1)
    return _byte(both.reshape(*packed.shape[:-1], -1))


def rewritten(graph: Graph, scheme: WeightOnly) -> Graph:
    """The same graph with its matrices quantized: those of products, the head's, the embedding.

    A head that is tied to the embedding reads the same numbers, if both have as many bits.
    Raises LmspecError if a matrix would be left as it is, or does not suit the scheme.
    """
    writing = _Rewriting(graph, scheme)
    nodes = [new for node in graph.model.graph.node for new in writing.replaced(node)]
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    kept = {n: value for n, value in graph.constants.items() if n not in writing.dropped}
    result = Graph(model, kept | writing.constants)
    require_covered(result)
    return result


class _Rewriting:
    """Nodes as they are replaced.

    dropped    constants that no node reads any more
    constants  those in their place
    """

    def __init__(self, graph: Graph, scheme: WeightOnly) -> None:
        self.graph, self.scheme = graph, scheme
        self.dropped: set[str] = set()
        self.constants: dict[str, Array] = {}
        self.embedding = ""

    def replaced(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The nodes in its place: itself, if it has no matrix."""
        if node.op_type == "Gather" and self.graph.is_matrix(node.input[0]):
            yield self._embedding(node)
        elif node.op_type in PRODUCTS and self.graph.is_matrix(node.input[1]):
            yield from self._product(node)
        else:
            yield node

    def _embedding(self, node: onnx.NodeProto) -> onnx.NodeProto:
        name, (bits, block) = node.input[0], (self.scheme.embedding_bits, self.scheme.block)
        rows, width = self.graph.constants[name].shape
        if width % block:
            found = f"a block of {block} does not divide the width {width} of the embedding"
            raise LmspecError(f"{PLACE}.block", found, "take a smaller one")
        tables = self._table(name, name, self.graph.constants[name], bits)
        self.constants[tables[0]] = self.constants[tables[0]].reshape(rows, -1)
        self.embedding = name
        return helper.make_node(
            "GatherBlockQuantized",
            [tables[0], node.input[1], *tables[1:]],
            list(node.output),
            name=node.name,
            domain=MICROSOFT,
            bits=bits,
            block_size=block,
            gather_axis=0,
            quantize_axis=1,
        )

    def _product(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        name, is_head = node.input[1], node.output[0].startswith(LOGITS)
        fields = {field.name: field.i for field in node.attribute}
        matrix = self.graph.constants[name]
        matrix = matrix if fields.get("transB") else matrix.T  # (n, k)
        bits = self.scheme.head_bits if is_head else self.scheme.bits
        outputs, inputs = matrix.shape
        if name == self.embedding and bits == self.scheme.embedding_bits:
            tables = self._names(name)
            view = f"{name}.blocks"
            shape = (outputs, -1, self.scheme.block * bits // 8)
            self.constants[f"{view}.shape"] = np.array(shape, np.int64)
            yield helper.make_node(
                "Reshape", [tables[0], f"{view}.shape"], [view], name=f"{view}.node"
            )
            tables = [view, *tables[1:]]
        else:
            own = f"{name}.head" if name == self.embedding else name
            tables = self._table(name, own, matrix, bits)
        inside, zeros = [node.input[0], *tables], self._zeros(outputs, inputs)
        if zeros:
            filling = self._filling(inside, bits, zeros)
            yield from filling
            inside = [fill.output[0] for fill in filling]
        yield helper.make_node(
            "MatMulNBits",
            inside,
            list(node.output),
            name=node.name,
            domain=MICROSOFT,
            K=inputs + zeros,
            N=outputs,
            bits=bits,
            block_size=self.scheme.block,
            accuracy_level=LEVELS[self.scheme.activations],
        )

    def _zeros(self, outputs: int, inputs: int) -> int:
        """How many inputs a product is filled up with."""
        scheme, zeros = self.scheme, -inputs % STRIDE
        can = scheme.symmetric and inputs % scheme.block == 0 and STRIDE % scheme.block == 0
        pays = outputs * inputs >= LARGE and zeros <= MOST * inputs
        return zeros if can and pays and scheme.activations == "int8" else 0

    def _filling(self, inside: Sequence[str], bits: int, zeros: int) -> list[onnx.NodeProto]:
        """Nodes that add so many inputs to the value of a product, to its numbers and scales."""
        blocks, half, zero = zeros // self.scheme.block, 2 ** (bits - 1), f"filling.{bits}"
        self.constants[zero] = np.array(half if bits == 8 else half << 4 | half, np.uint8)
        ends: Sequence[tuple[int, ...]] = (0, 0, zeros), (0, blocks, 0), (0, blocks)
        nodes = []
        for name, end, by in zip(inside, ends, ([], [zero], []), strict=True):
            pads, out = "filling." + ".".join(map(str, end)), f"{name}.filled"
            self.constants[pads] = np.array([0] * len(end) + [*end], np.int64)
            nodes.append(helper.make_node("Pad", [name, pads, *by], [out], name=f"{out}.node"))
        return nodes

    def _table(self, name: str, own: str, matrix: Array, bits: int) -> list[str]:
        """Names of the constants of a quantized matrix, which are added."""
        self.dropped.add(name)
        blocks = quantized(matrix, bits, self.scheme.block, self.scheme.symmetric)
        names = self._names(own)
        values = [blocks.packed, blocks.scales, *([blocks.zeros] if len(names) > 2 else [])]
        self.constants |= {n: v for n, v in zip(names, values, strict=True) if v is not None}
        return names

    def _names(self, own: str) -> list[str]:
        parts = ("packed", "scales") if self.scheme.symmetric else ("packed", "scales", "zeros")
        return [f"{own}.{part}" for part in parts]


def require_covered(graph: Graph) -> None:
    """Raise LmspecError if a matrix is left in floating point, such as the head's or the embedding.

    A quantizer that does not find one says nothing: the head of a small model is most of it.
    """
    nodes = graph.model.graph.node
    left = [n.input[1] for n in nodes if n.op_type in PRODUCTS and graph.is_matrix(n.input[1])]
    left += [n.input[0] for n in nodes if n.op_type == "Gather" and graph.is_matrix(n.input[0])]
    kinds = {"the embedding": ("GatherBlockQuantized", _reads_ids)}
    kinds["the head"] = ("MatMulNBits", _writes_logits)
    for part, (kind, is_it) in kinds.items():
        if not any(node.op_type == kind and is_it(node) for node in nodes):
            left.append(part)
    if left:
        found = f"{left[0]} is left in floating point, one of {len(left)}"
        raise LmspecError(PLACE, found, "report it: all matrices of a graph are to be quantized")


def _reads_ids(node: onnx.NodeProto) -> bool:
    return IDS in node.input


def _writes_logits(node: onnx.NodeProto) -> bool:
    return str(node.output[0]).startswith(LOGITS)


def operations(graph: Graph) -> int:
    """How many read a quantized matrix."""
    kinds = ("MatMulNBits", "GatherBlockQuantized")
    return sum(node.op_type in kinds for node in graph.model.graph.node)
