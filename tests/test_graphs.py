"""ONNX graphs: dynamic, the same as the model, the same bytes, and no trace of the machine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lmspec.architectures import cnn, rnn
from lmspec.errors import LmspecError
from lmspec.formats import graph
from lmspec.methods import company, exporting, quantizing, reading, sensitivity, torchrun
from lmspec.specs.quantized import Contract, Dynamic, Static
from stages import quantized
from tests.test_training import make

KINDS = {"cnn": cnn, "lstm": rnn, "gru": rnn}


def export(kind: str, model: torch.nn.Module) -> onnx.ModelProto:
    return graph.anonymous(exporting.export(KINDS[kind].exportable(model), 16, 18))


@pytest.fixture(scope="module")
def exported() -> Iterator[dict[str, tuple[torch.nn.Module, onnx.ModelProto]]]:
    """A model of each kind and its graph."""
    found = {}
    for kind in KINDS:
        model = make(kind)[0].eval()
        found[kind] = (model, export(kind, model))
    yield found


def forward(model: onnx.ModelProto, folder: Path) -> exporting.Forward:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    session = graph.session(path, 1)
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_is_the_model_at_every_shape(kind: str, exported: dict, tmp_path: Path) -> None:
    """Over batch, length and padding the largest difference is rounding; a changed weight is seen
    (the negative control)."""
    model, proto = exported[kind]
    reference = torchrun.forward(model)
    worst, _ = exporting.largest_difference(
        reference, forward(proto, tmp_path), 16, ("full", "right"), 250
    )
    assert worst < 1e-5
    broken = onnx.ModelProto()
    broken.CopyFrom(proto)
    weight = next(
        i for i in broken.graph.initializer if i.data_type == onnx.TensorProto.FLOAT and 2 in i.dims
    )
    weight.CopyFrom(
        onnx.numpy_helper.from_array(
            onnx.numpy_helper.to_array(weight) + np.float32(1), weight.name
        )
    )
    worst, where = exporting.largest_difference(
        reference, forward(broken, tmp_path), 16, ("full", "right"), 250
    )
    assert worst > 1e-3 and "batch" in where


def test_a_graph_that_gives_no_number_is_the_worst() -> None:
    """A NaN is not less than a tolerance."""
    zero = lambda ids, mask: np.zeros((len(ids), 2), np.float32)  # noqa: E731
    bad = lambda ids, mask: np.full((len(ids), 2), np.nan, np.float32)  # noqa: E731
    worst, _ = exporting.largest_difference(zero, bad, 16, ("full",), 9)
    assert not worst <= 1e9


@pytest.mark.parametrize("kind", KINDS)
def test_two_exports_have_the_same_bytes_and_no_path(kind: str, exported: dict) -> None:
    """torch writes stack traces with the paths of site-packages; they are gone."""
    again = export(kind, make(kind)[0].eval()).SerializeToString(deterministic=True)
    assert again == exported[kind][1].SerializeToString(deterministic=True)
    assert b"site-packages" not in again and str(Path(__file__).parent.parent).encode() not in again


def feeds(count: int) -> list[quantizing.Feed]:
    return [
        dict(zip(graph.INPUTS, exporting.batch(1, 5 + i % 9, "full", 250), strict=True))
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("cnn", Static(kind="static", per_channel=True, reduce_range=True)),
        ("lstm", Dynamic(kind="dynamic", per_channel=False, reduce_range=True)),
    ],
)
def test_quantization_quantizes(
    kind: str, scheme: Dynamic | Static, exported: dict, tmp_path: Path
) -> None:
    """Integer operations appear, and the answers stay near; twice gives the same bytes."""
    model, proto = exported[kind]
    one, two = (quantizing.quantize(proto, scheme, feeds(8)) for _ in range(2))
    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)
    assert quantizing.quantized_operations(one) > 0
    worst, _ = exporting.largest_difference(
        torchrun.forward(model), forward(one, tmp_path), 16, ("full",), 250
    )
    assert 0 < worst < 0.2


def feed_forward(wide: float) -> onnx.ModelProto:
    """x (n, 8) -> two products -> logits (n, 2). wide: how large one number between them is, of
    which the second product reads nothing."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(8, 16)), rng.normal(size=(16, 2))
    first[:, 3], second[3] = wide, 0
    weights = [
        onnx.numpy_helper.from_array(values.astype(np.float32), name)
        for name, values in (("first", first), ("second", second))
    ]
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "first"], ["between"], "up"),
        onnx.helper.make_node("MatMul", ["between", "second"], ["logits"], "down"),
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", 8), ("logits", 2))
    ]
    made = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model


def test_the_product_that_loses_most_stays_in_fp32() -> None:
    """One large number that counts for nothing takes the levels of all others: the product after
    it is found, and in fp32 it loses nothing of them."""
    scheme = Dynamic(kind="dynamic", per_channel=True, reduce_range=True, float_operations=1)
    texts = np.random.default_rng(2).normal(size=(40, 1, 8)).astype(np.float32)

    def predicted(model: onnx.ModelProto) -> reading.Floats:
        session = graph.session(model.SerializeToString(), 1)
        return np.concatenate(
            [reading.probabilities(session.run(None, {"x": x})[0]) for x in texts]
        )

    prepared = quantizing.prepared(feed_forward(2000.0))
    before = predicted(prepared)
    found = sensitivity.costs(prepared, scheme, before, predicted)
    assert [(each.name, each.inputs, each.outputs) for each in found] == [
        ("down", 16, 2),
        ("up", 8, 16),
    ]
    all_of_it = quantizing.quantize(prepared, scheme, ())
    partly = quantizing.quantize(prepared, scheme, (), ["down"])
    assert quantizing.quantized_operations(partly) == 1
    lost, kept = (
        quantizing.loss_of(before, predicted(model))["mean_probability_difference"]
        for model in (all_of_it, partly)
    )
    assert lost > 0.05 > 0.02 > kept == found[0].difference
    with pytest.raises(LmspecError, match="has 2 matrix products"):
        sensitivity.require_more(prepared, 2)


def test_a_quantizer_that_finds_nothing_is_an_error() -> None:
    """onnxruntime's says nothing of it: the graph would be called int8 and be fp32."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 4]) for n in ("x", "y")
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", value[:1], value[1:]),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
    )
    model.ir_version = 10
    with pytest.raises(LmspecError, match="found nothing to quantize"):
        quantizing.quantize(model, Dynamic(kind="dynamic", per_channel=True, reduce_range=True), [])


def test_a_broken_contract_ends_the_build() -> None:
    """Each limit by itself, NaN included; within the limits there is no error."""
    contract = Contract(max_disagreement_rate=0.1, max_mean_probability_difference=0.1)
    quantized.require(
        {"disagreement_rate": 0.1, "mean_probability_difference": 0.1}, contract, "exported.x"
    )
    for bad in (
        {"disagreement_rate": 0.2},
        {"mean_probability_difference": 0.2},
        {"disagreement_rate": float("nan")},
    ):
        with pytest.raises(LmspecError, match=r"the contract allows.*\n  'a text': good"):
            quantized.require(
                {"disagreement_rate": 0.0, "mean_probability_difference": 0.0} | bad,
                contract,
                "exported.x",
                ["'a text': good 0.900 -> 0.400"],
            )
    before, after = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.8, 0.2], [0.6, 0.4]])
    assert quantizing.furthest(before, after, 1) == [(1, 1, 0.8, 0.4)]


@pytest.mark.parametrize(
    ("kind", "alike"),
    [
        ("cnn", True),
        ("lstm", False),
    ],
)
def test_company_is_measured(kind: str, alike: bool, exported: dict, tmp_path: Path) -> None:
    """int8 with scales of calibration gives the same bits in any batch, with scales of the batch
    it does not."""
    scheme: Dynamic | Static = Dynamic(kind="dynamic", per_channel=False, reduce_range=True)
    if alike:
        scheme = Static(kind="static", per_channel=True, reduce_range=True)
    made = quantizing.quantize(exported[kind][1], scheme, feeds(8))
    found = company.batch_difference(forward(made, tmp_path), company.probes(250, 16), 0)
    assert (found == 0) is alike


def test_company_that_gives_no_number_is_the_worst() -> None:
    """Alone it is a number: in a batch of several it is none."""

    def sums(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        found = np.where(mask == 1, ids, 0).sum(1, keepdims=True).astype(np.float32)
        return np.where(len(ids) > 7, np.nan, found)

    probes = company.probes(250, 16)
    assert company.batch_difference(sums, probes, 0) == np.inf
    assert company.batch_difference(sums, probes[:7], 0) == 0
    crowded = lambda ids, mask: sums(ids, mask) + np.float32(1e-3 * len(ids))  # noqa: E731
    assert 0 < company.batch_difference(crowded, probes[:7], 0) < 0.01
    with pytest.raises(ValueError, match="alone"):
        company.batch_difference(sums, probes[:1], 0)
    assert sorted(map(len, probes))[0] == 1 and max(map(len, probes)) == 16


def test_a_contract_may_demand_the_same_bits_in_any_company() -> None:
    """Of a classifier, too, and only if it says so."""
    contract = {"max_disagreement_rate": 1, "max_mean_probability_difference": 1}
    lost = {"disagreement_rate": 0, "mean_probability_difference": 0, "batch_difference": 0.5}
    quantized.require(lost, Contract.model_validate(contract), "exported.x")
    strict = Contract.model_validate(contract | {"max_batch_difference": 0})
    quantized.require(lost | {"batch_difference": 0.0}, strict, "exported.x")
    with pytest.raises(LmspecError, match=r"batch_difference is 0\.5; the contract allows 0"):
        quantized.require(lost, strict, "exported.x")
