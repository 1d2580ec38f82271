"""calibrating: probabilities as often right as they say, as nodes at the end of a graph."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from lmspec.methods import metrics
from lmspec.methods.metrics import Floats
from lmspec.methods.reading import Ids, probabilities

BEFORE, PREFIX = "uncalibrated_logits", "calibration_"
COLDEST, HOTTEST, STEPS = 0.05, 20.0, 80  # the last interval is 1e-16 of the first
DIGITS = 6
GOLDEN = (5**0.5 - 1) / 2
Knots = tuple[Floats, Floats]  # (m,) ascending probabilities, (m,) what they become


@dataclass(frozen=True)
class Rows:
    """n texts of dev splits, in w windows, each of which is read alone.

    logits   (w, k)
    of_text  (w,) position of each window's text
    truth    (n,) positions of the labels
    """

    logits: NDArray[np.float32]
    of_text: Ids
    truth: Ids

    def means(self, each: Floats) -> Floats:
        """(w, k) probabilities of windows -> (n, k) those of texts, as methods/reading.py has
        them."""
        first = np.flatnonzero(np.diff(self.of_text, prepend=-1))
        number = np.diff(first, append=len(each))
        result: Floats = np.add.reduceat(each, first) / number[:, None]
        return result

    def part(self, texts: NDArray[np.bool_]) -> "Rows":
        """Those of some texts. texts: (n,)"""
        windows, number = texts[self.of_text], np.cumsum(texts) - 1
        return Rows(self.logits[windows], number[self.of_text[windows]], self.truth[texts])


def halves(documents: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) is a text in the first half? By a hash of its document, so another text moves none."""
    digests = (hashlib.sha256(name.encode()).digest() for name in documents)
    return np.array([digest[0] % 2 == 0 for digest in digests], bool)


def temperature(rows: Rows) -> float:
    """What logits are divided by for the least log loss, from 0.05 to 20, with six digits.

    By golden sections of its logarithm: over texts of one window, the loss has one minimum.
    """

    def loss(logarithm: float) -> float:
        scaled = (rows.logits / np.float32(np.exp(logarithm))).astype(np.float32)
        return metrics.log_loss(rows.truth, rows.means(probabilities(scaled)))

    return round(float(np.exp(_least(loss, np.log(COLDEST), np.log(HOTTEST)))), DIGITS)


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values = [function(one) for one in inner]
    for _ in range(STEPS):
        if values[0] <= values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - GOLDEN * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + GOLDEN * (high - low)
            values[1] = function(inner[1])
    return (low + high) / 2


def isotonic(probability: Floats, hits: NDArray[np.bool_], weight: Floats) -> Knots:
    """The function of least squared error that never falls; linear between its knots.

    probability  (n,) of a label, rounded to six digits: knots are no closer
    hits, weight (n,) is it the true one?
    Violators are pooled (Ayer et al. 1955); knots as in scikit-learn's IsotonicRegression.
    """
    at, place = np.unique(np.round(probability, DIGITS), return_inverse=True)
    total = np.bincount(place, weights=weight)
    mean = np.bincount(place, weights=weight * hits) / total
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of knots
    for value, size in zip(mean.tolist(), total.tolist(), strict=True):
        block = (value, size, 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            size = before[1] + block[1]
            value = (before[0] * before[1] + block[0] * block[1]) / size
            block = (value, size, before[2] + block[2])
        blocks.append(block)
    fitted = np.repeat([value for value, *_ in blocks], [number for *_, number in blocks])
    inner = np.ones(len(at), bool)  # between two of its own value a knot changes nothing
    inner[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return at[inner], fitted[inner]


def one_for_each(rows: Rows) -> list[Knots]:
    """`isotonic` of each label against the others; windows of a text share its weight."""
    each = probabilities(rows.logits)  # (w, k)
    weight = 1.0 / np.bincount(rows.of_text)[rows.of_text]
    truth = rows.truth[rows.of_text]
    return [isotonic(each[:, k], truth == k, weight) for k in range(each.shape[1])]


def least(rows: Rows) -> float:
    """Probability below which none falls: that of what n texts have not shown (Laplace)."""
    return 1.0 / (len(rows.truth) + 2)


def divided(model: onnx.ModelProto, by: float) -> onnx.ModelProto:
    """The graph with its logits divided."""
    factor = np.float32(1.0) / np.float32(by)
    return _continued(model, [_node("Mul", (BEFORE, "factor"))], {"factor": np.asarray(factor)})


def mapped(model: onnx.ModelProto, knots: Sequence[Knots], floor: float) -> onnx.ModelProto:
    """The graph with the probability p of label k mapped by knots[k]; its logits become logarithms.

    A sum of ramps: f(p) = f(0) + sum of slope * min(max(p - start, 0), width).
    """
    most = max(len(at) for at, _ in knots)
    starts, widths, slopes = (np.zeros((len(knots), most), np.float32) for _ in range(3))
    for k, (at, value) in enumerate(knots):
        point = at.astype(np.float32)
        width, ramps = np.diff(point), len(at) - 1
        starts[k, :ramps], widths[k, :ramps] = point[:-1], width
        slopes[k, :ramps] = np.diff(value) / width
    constants = {
        "starts": starts,
        "widths": widths,
        "slopes": slopes,
        "first": np.array([value[0] for _, value in knots], np.float32),
        "last_axis": np.array([-1], np.int64),
        "zero": np.float32(0),
        "floor": np.float32(floor),
        "one": np.float32(1),
    }
    steps = [
        _node("Softmax", (BEFORE,), "shares", axis=-1),
        _node("Unsqueeze", ("shares", "last_axis"), "apart"),
        _node("Sub", ("apart", "starts"), "beyond"),
        _node("Max", ("beyond", "zero"), "positive"),
        _node("Min", ("positive", "widths"), "within"),
        _node("Mul", ("within", "slopes"), "risen"),
        _node("ReduceSum", ("risen", "last_axis"), "rise", keepdims=0),
        _node("Add", ("rise", "first"), "mapped"),
        _node("Max", ("mapped", "floor"), "above"),
        _node("Min", ("above", "one"), "share"),
        _node("Log", ("share",)),
    ]
    return _continued(model, steps, {name: np.asarray(value) for name, value in constants.items()})


def undone(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The graph without what was added to it; None if nothing was."""
    if not any(BEFORE in node.output for node in model.graph.node):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output[0].name = BEFORE
    nodes = [node for node in copy.graph.node if not node.name.startswith(PREFIX)]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _node(kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> onnx.NodeProto:
    """Names get a prefix; the last one's output is that of the graph."""
    own = [name if name == BEFORE else PREFIX + name for name in inputs]
    return helper.make_node(kind, own, [PREFIX + output], PREFIX + (output or "last"), **attributes)


def _continued(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, NDArray[Any]]
) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (output,) = copy.graph.output
    for node in copy.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == output.name:
                    names[i] = BEFORE
    copy.graph.initializer.extend(
        numpy_helper.from_array(value, PREFIX + name) for name, value in constants.items()
    )
    nodes[-1].output[0] = output.name
    copy.graph.node.extend(nodes)
    return copy
