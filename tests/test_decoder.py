"""A graph with a cache computes what its model does, alone or beside others, in int8, too."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import decoder, documents, graph, writer
from lmspec.methods import quantizing
from lmspec.pipeline.closure import OnDisk, closure
from lmspec.specs.exported import FILES, ExportedSpec
from lmspec.specs.generation import Choosing, Generation
from lmspec.specs.numerics import Machine
from lmspec.specs.quantized import Contract, Dynamic, QuantizedSpec, WeightOnly
from lmspec.specs.scores import ScoresSpec
from lmspec.writing import blockwise, exporting, fidelity, onnxdecoder, parity
from lmspec.writing.generating import Ids, Request, texts
from lmspec.writing.onnxdecoder import OnnxDecoder
from lmspec.writing.onnxgraph import Graph
from lmspec.writing.torchdecoder import TorchDecoder
from stages import (
    choosing_scores,
    exported,
    quantized,
    writing_exported,
    writing_quantized,
    writing_scores,
)
from tests.decoders import Toy
from tests.test_training import NUMERICS
from tests.tinywriter import MOST, PAIR, pairs, tokenizer, write_split, write_weights

ROOT = Path(__file__).parent.parent
POSITIONS = 128
SHAPE: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.2,
    "tie_word_embeddings": True,
}
YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "rope_theta": 10000.0,
    "original_max_position_embeddings": 32,
}
APART = {"tie_word_embeddings": False}
FAMILIES: dict[str, Callable[[], Any]] = {
    "tied": lambda: LlamaConfig(**SHAPE),
    "with biases and scaled positions": lambda: LlamaConfig(
        **SHAPE | APART, attention_bias=True, mlp_bias=True, rope_parameters=YARN
    ),
    "mistral": lambda: MistralConfig(**SHAPE, sliding_window=None, head_dim=32),
    "qwen2": lambda: Qwen2Config(**SHAPE | APART),
    "qwen3": lambda: Qwen3Config(**SHAPE, head_dim=32),
}
INT8: dict[str, Any] = {
    "kind": "weight_only",
    "bits": 8,
    "block": 32,
    "symmetric": True,
    "head_bits": 8,
    "embedding_bits": 8,
    "activations": "int8",
}
LOOSE: dict[str, Any] = {
    "max_disagreement_rate": 1.0,
    "max_mean_probability_difference": 1.0,
    "max_loss_increase": 100.0,
    "min_greedy_prefix": 0.0,
    "max_batch_difference": 1000.0,
}
GREEDY = {
    "decode": {"kind": "greedy"},
    "new_tokens": 12,
    "stop": [],
    "repetition_penalty": None,
    "constraint": None,
    "rows": 12,
}


def made(family: str) -> PreTrainedModel:
    """With weights that differ from those that do nothing, in biases and norms too."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family]()).eval()
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            torch.nn.init.normal_(weight, 0 if name.endswith("bias") else 1, 0.3)
    return model


def opened(written: Graph, folder: Path, threads: int = 1) -> OnnxDecoder:
    folder.mkdir(exist_ok=True)
    decoder.write_graph(written, folder)
    return OnnxDecoder(folder / "model.onnx", POSITIONS, threads)


def scheme(**changes: Any) -> WeightOnly:
    return WeightOnly.model_validate(INT8 | changes)


ROWS = writing_exported.probes(SHAPE["vocab_size"], POSITIONS)


@pytest.fixture(scope="module")
def tied() -> PreTrainedModel:
    return made("tied")


@pytest.mark.parametrize(("family", "opset"), [*((name, 20) for name in FAMILIES), ("tied", 18)])
def test_a_graph_computes_what_the_model_does(family: str, opset: int, tmp_path: Path) -> None:
    """Alone or beside others, after a past or without, padded left or right, of a few tokens or as
    many as there are positions."""
    model = made(family)
    got = opened(exporting.export(model, POSITIONS, opset), tmp_path)
    truth = list(TorchDecoder(model).logits(ROWS))
    worst, where = writing_exported.largest_difference(got, ROWS, truth)
    assert worst < 1e-5 * np.abs(np.concatenate(truth)).max(), where


def test_a_long_row_is_read_in_parts(
    tied: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt of any length, with the attention scores of a few tokens at a time."""
    got = opened(exporting.export(tied, POSITIONS, 20), tmp_path)
    whole = [*got.logits(ROWS)]
    last = [got.prefill(ids)[1] for ids in ROWS]
    monkeypatch.setattr(onnxdecoder, "CHUNK", 10)
    for ids, one, logits, end in zip(ROWS, got.logits(ROWS), whole, last, strict=True):
        np.testing.assert_allclose(one, logits, atol=1e-4)
        np.testing.assert_allclose(got.prefill(ids)[1], end, atol=1e-4)


def _another_base(written: Graph) -> None:
    values = written.constants["cos"]
    np.copyto(values, np.cos(np.arccos(np.clip(values, -1, 1)) * 1.001))


def _another_weight(written: Graph) -> None:
    written.constants["model.norm.weight"][:] += 1e-3  # type: ignore[index]


def _no_padding(written: Graph) -> None:
    written.constants["masked"][...] = 0.0  # type: ignore[index]


def _rows_of_one_length(written: Graph) -> None:
    for node in written.model.graph.node:
        if list(node.output) == ["last"]:
            node.input[0] = "total"


def _no_memory(written: Graph) -> None:
    for node in written.model.graph.node:
        if node.op_type == "GroupQueryAttention":
            node.input[4] = node.input[3]  # keys in place of values


FAULTS = (
    _another_base,
    _another_weight,
    _no_padding,
    _rows_of_one_length,
    _no_memory,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_graph_that_computes_something_else_is_found(
    fault: Callable[[Graph], None], tied: PreTrainedModel, tmp_path: Path
) -> None:
    """Also where only rows that are padded, or of several lengths, are wrong."""
    written = exporting.export(tied, POSITIONS, 20)
    written = replace(written, constants={n: v.copy() for n, v in written.constants.items()})
    fault(written)
    truth = list(TorchDecoder(tied).logits(ROWS))
    try:
        worst, _ = writing_exported.largest_difference(opened(written, tmp_path), ROWS, truth)
    except Exception as error:  # onnxruntime's own refusal
        assert "seqlens" in str(error), error
        return
    assert not worst <= 1e-3


def company(number: int = 17) -> list[Ids]:
    random = np.random.default_rng(1)
    return [random.integers(0, 272, size=random.integers(1, 31)) for _ in range(number)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("in_int8", [False, True])
def test_bits_do_not_depend_on_company(
    in_int8: bool, threads: int, tied: PreTrainedModel, tmp_path: Path
) -> None:
    """Nor on the order, on how long others are, or on when they come and go."""
    written = exporting.export(tied, POSITIONS, 20)
    if in_int8:
        written = blockwise.rewritten(written, scheme())
    got, rows = opened(written, tmp_path, threads), company()
    read = [got.prefill(ids)[0] for ids in rows]
    tokens = np.arange(len(rows)) * 7
    alone = [got.step([past], tokens[i : i + 1]) for i, past in enumerate(read)]
    further = [got.step(new, tokens[i : i + 1])[1][0] for i, (new, _) in enumerate(alone)]
    for size in (2, 3, 4, 8, 16, 17):
        order = np.random.default_rng(size).permutation(len(rows))[:size]
        pasts, logits = got.step([read[i] for i in order], tokens[order])
        _, again = got.step(pasts, tokens[order])
        for i, first, second in zip(order, logits, again, strict=True):
            assert np.array_equal(first, alone[i][1][0]) and np.array_equal(second, further[i])
    assert fidelity.batch_difference(got, rows) == 0
    words = tokenizer()
    asked = [Request(ids, 12) for ids in rows]
    one, many = ([t.ids.tolist() for t in texts(got, asked, words, [1], n)] for n in (1, 5))
    assert one == many
    if not in_int8:
        own = texts(TorchDecoder(tied), asked, words, [1], 5)
        assert [text.ids.tolist() for text in own] == one


def test_logits_that_depend_on_company_are_found() -> None:
    """A decoder that has something of the others in each logit."""
    rows = [ids for ids in company() if len(ids) > 4]
    assert fidelity.batch_difference(Toy(), rows) == 0
    assert fidelity.batch_difference(Toy(crowded=1e-6), rows) > 0


def test_a_company_that_stays_is_not_copied(tied: PreTrainedModel, tmp_path: Path) -> None:
    """A step writes into the memory of the step before."""
    got = opened(exporting.export(tied, POSITIONS, 20), tmp_path)
    begun, _ = got.step([got.prefill(ids)[0] for ids in company(3)], np.array([1, 2, 3]))
    before = [buffer.copy() for buffer in begun[0].company.buffers]
    pasts, _ = got.step(begun, np.array([4, 5, 6]))
    assert all(past.company is begun[0].company for past in pasts)
    for old, new in zip(before, pasts[0].company.buffers, strict=True):
        for past in begun:
            row = past.place
            assert np.array_equal(old[row, :, : past.length], new[row, :, : past.length])
            assert new[row, :, past.length].any() and not old[row, :, past.length].any()
    for others in (pasts[:2], pasts[::-1], [pasts[0], pasts[0], pasts[1]], begun):
        assert got._together(others) is not pasts[0].company


def test_texts_go_on_from_one_past(tied: PreTrainedModel, tmp_path: Path) -> None:
    """What one of them adds to it is not seen by the other."""
    got, ids = opened(exporting.export(tied, POSITIONS, 20), tmp_path), company(1)[0]
    past, _ = got.prefill(ids)
    found = []
    for token in (7, 11):
        (longer,), first = got.step([past], np.array([token]))
        found.append((longer, [first[0]]))
    for token, (longer, logits) in zip((7, 11), found, strict=True):
        logits.append(got.step([longer], np.array([13]))[1][0])
        (alone,), first = got.step([got.prefill(ids)[0]], np.array([token]))
        second = got.step([alone], np.array([13]))[1]
        assert np.array_equal(logits, [first[0], second[0]])


def test_memory_that_is_full_is_copied_to_more(
    tied: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same bits, up to the last position."""
    got, rows = opened(exporting.export(tied, POSITIONS, 20), tmp_path), company(3)

    def logits() -> tuple[list[Any], set[int]]:
        pasts, found = [got.prefill(ids)[0] for ids in rows], []
        rooms = set()
        for token in range(POSITIONS - max(map(len, rows))):
            pasts, new = got.step(pasts, np.full(len(rows), token))
            rooms.add(pasts[0].company.room)
            found.append(new)
        return found, rooms

    few, many = logits(), None
    monkeypatch.setattr(onnxdecoder, "ROOM", 1)
    many = logits()
    assert np.array_equal(few[0], many[0])
    assert len(few[1]) < len(many[1]) and max(many[1]) == POSITIONS


REFUSED: dict[str, tuple[Any, str]] = {
    "another type": (lambda: GPT2Config(n_embd=32, n_layer=1, n_head=2), "no graph is made of a"),
    "a window": (lambda: MistralConfig(**SHAPE, sliding_window=64), "looks back 64 tokens"),
    "few positions": (
        lambda: LlamaConfig(**SHAPE | {"max_position_embeddings": 64}),
        "128 is more than the 64 positions",
    ),
    "another activation": (lambda: LlamaConfig(**SHAPE, hidden_act="gelu"), "activation is gelu"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_graph_could_not_compute_is_refused(case: str) -> None:
    """In words, before anything is written."""
    config, words = REFUSED[case]
    with pytest.raises(LmspecError, match=words):
        exporting.require_known(config(), POSITIONS)


@pytest.mark.parametrize("family", ["tied", "qwen2"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"block": 16, "symmetric": False},
        {"bits": 4, "head_bits": 4, "embedding_bits": 4},
        {"bits": 4, "block": 64, "symmetric": False, "embedding_bits": 4},
        {"bits": 4, "block": 16, "symmetric": False, "head_bits": 4, "embedding_bits": 4},
    ],
)
def test_a_graph_in_blocks_computes_with_rounded_weights(
    changes: dict[str, Any], family: str, tmp_path: Path
) -> None:
    """With activations that stay as they are: what the model does with rounded weights."""
    model, rule = made(family), scheme(**changes, activations="float")
    got = opened(blockwise.rewritten(exporting.export(model, POSITIONS, 20), rule), tmp_path)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                continue
            parts = {"embed": rule.embedding_bits, "lm_head": rule.head_bits}
            bits = next((b for part, b in parts.items() if part in name), rule.bits)
            if family == "tied" and "embed" in name and rule.head_bits != bits:
                model.lm_head.weight = torch.nn.Parameter(weight.clone())  # as its own table
                model.lm_head.weight.copy_(rounded(weight.numpy(), rule.head_bits, rule))
            weight.copy_(rounded(weight.numpy(), bits, rule))
    for logits, truth in zip(got.logits(ROWS), TorchDecoder(model).logits(ROWS), strict=True):
        np.testing.assert_allclose(logits, truth, atol=2e-4)


def rounded(weight: np.ndarray[Any, Any], bits: int, rule: WeightOnly) -> torch.Tensor:
    blocks = blockwise.quantized(weight, bits, rule.block, rule.symmetric)
    values = blockwise.restored(blocks, bits, weight.shape[1])
    steps = np.repeat(blocks.scales, rule.block, 1)[:, : weight.shape[1]]
    assert (np.abs(values - weight) <= 0.5001 * steps).all()  # the nearest
    return torch.from_numpy(values.copy())


def test_numbers_of_a_table_of_many_rows_are_those_of_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows are quantized some at a time; blocks of zeros stay zeros."""
    matrix = np.random.default_rng(0).normal(size=(10, 40)).astype(np.float32)
    matrix[3] = 0
    for bits, symmetric in ((4, True), (4, False), (8, False)):
        whole = blockwise.quantized(matrix, bits, 16, symmetric)
        monkeypatch.setattr(blockwise, "ROWS", 3)
        parts = blockwise.quantized(matrix, bits, 16, symmetric)
        monkeypatch.undo()
        assert np.array_equal(whole.packed, parts.packed)
        assert not blockwise.restored(whole, bits, 40)[3].any()


def test_a_tied_head_reads_the_numbers_of_the_embedding(tied: PreTrainedModel) -> None:
    """Once in the file; two tables only if they have other bits."""
    written = exporting.export(tied, POSITIONS, 20)
    size = written.constants[exporting.EMBEDDING].size

    def tables(**changes: Any) -> list[int]:
        made = blockwise.rewritten(written, scheme(**changes))
        return [v.nbytes for v in made.constants.values() if v.nbytes in (size, size // 2)]

    assert tables() == [size]
    assert tables(head_bits=8, embedding_bits=4, bits=4) == [size // 2, size]
    assert exporting.HEAD not in written.constants


def _leave(kind: str, is_head: bool) -> Callable[..., Iterator[Any]]:
    """What a quantizer does that does not find a matrix."""
    own = blockwise._Rewriting.replaced

    def replaced(self: Any, node: Any) -> Iterator[Any]:
        is_left = node.op_type == kind and is_head == (node.output[0] == "logits")
        return iter([node]) if is_left else own(self, node)

    return replaced


@pytest.mark.parametrize(
    ("kind", "is_head", "family"),
    [
        ("FusedMatMul", True, "tied"),
        ("MatMul", True, "qwen2"),
        ("MatMul", False, "tied"),
        ("Gather", False, "tied"),
    ],
)
def test_a_matrix_that_is_left_in_floating_point_is_found(
    kind: str, is_head: bool, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head or the embedding of a small model is most of it."""
    monkeypatch.setattr(blockwise._Rewriting, "replaced", _leave(kind, is_head))
    written = exporting.export(made(family), POSITIONS, 20)
    with pytest.raises(LmspecError, match="is left in floating point"):
        blockwise.rewritten(written, scheme())


@pytest.mark.parametrize("bits", [4, 8])
def test_products_are_filled_with_zeros_where_that_is_faster(
    bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large ones with inputs beyond a multiple of 128: the logits stay, and so does the file."""
    size = {"vocab_size": 2000, "hidden_size": 576, "intermediate_size": 1024}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE | size)).eval()
    written, rule = exporting.export(model, POSITIONS, 20), scheme(bits=bits)
    filled = blockwise.rewritten(written, rule)
    monkeypatch.setattr(blockwise, "LARGE", 2**40)
    plain = blockwise.rewritten(written, rule)
    wide = [n.output[0] for n in filled.model.graph.node if blockwise_inputs(n) == 640]
    assert wide == [f"model.layers.{i}.mlp.gate_up_proj" for i in (0, 1)] + ["logits"]
    assert not [n for n in plain.model.graph.node if n.op_type == "Pad"]
    more = {n: v for n, v in filled.constants.items() if n not in plain.constants}
    assert all(name.startswith("filling.") for name in more)
    assert sum(value.nbytes for value in more.values()) < 500
    got, own = (opened(graph, tmp_path / str(i)) for i, graph in enumerate((filled, plain)))
    for logits, known in zip(got.logits(ROWS), own.logits(ROWS), strict=True):
        # rounded activations: where a sum has another order, one may become the next number
        assert np.abs(logits - known).mean() < 2e-3 * np.abs(known).max()
    assert fidelity.batch_difference(got, ROWS) == 0


def blockwise_inputs(node: Any) -> int:
    return sum(field.i for field in node.attribute if field.name == "K")


def test_a_block_that_does_not_divide_the_embedding_is_refused(tied: PreTrainedModel) -> None:
    """Its rows would begin inside of blocks."""
    with pytest.raises(LmspecError, match="a block of 128 does not divide the width 64"):
        blockwise.rewritten(exporting.export(tied, POSITIONS, 20), scheme(block=128))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model, splits, and what the stages make of them: exported, quantized."""
    root = tmp_path_factory.mktemp("project")
    source = write_weights(root / "source")
    model = AutoModelForCausalLM.from_pretrained(source)
    own = writer.WriterModel(model, tokenizer(), 1, PAIR, MOST, "leave_out", {"fix_unicode": False})
    (root / "model").mkdir()
    writer.write(own, root / "model")
    rows = pairs()
    for split, part in (("dev", rows[:40]), ("test", rows[40:60])):
        write_split(part, root / "splits", split)
    for noun, build in (("exported", export), ("quantized", quantize)):
        (root / noun).mkdir()
        build(root, root / noun)
    return root


def needs(root: Path) -> stage.Needs:
    nouns = ("model", "splits", "exported", "quantized")
    return stage.Needs({f"{n}.pairs": root / n for n in nouns}, NUMERICS, Machine(device="cpu"))


def export(root: Path, out: Path, **changes: Any) -> stage.Report:
    fields: dict[str, Any] = {
        "of": "model.pairs",
        "opset": 20,
        "max_logit_difference": 1e-4,
        "format": {"kind": "cache", "max_past": 96, "prompts": "splits.pairs"},
    }
    spec = ExportedSpec.model_validate(fields | changes)
    return exported.build(spec, needs(root), out)


def quantize(root: Path, out: Path, rule: Any = None, **contract: Any) -> stage.Report:
    fields = {
        "of": "exported.pairs",
        "calibrate": "splits.pairs",
        "calibration_rows": 24,
        "scheme": INT8 | (rule or {}),
        "contract": LOOSE | contract,
    }
    return quantized.build(QuantizedSpec.model_validate(fields), needs(root), out)


def test_an_exported_model_is_checked_and_read_as_it_was(project: Path, tmp_path: Path) -> None:
    """Its metrics are those that the spec declares, its bytes the same each time."""
    report = export(project, tmp_path)
    own = {metric.path for metric in ExportedSpec.metrics if metric.of != FILES}
    assert set(report.metrics) == own
    assert report.metrics["greedy_same"] == 1.0 and report.metrics["batch_difference"] == 0.0
    assert 0 < report.metrics["largest_logit_difference"] < 1e-4
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json", "lmspec.json"):
        assert (tmp_path / name).read_bytes() == (project / "exported" / name).read_bytes()
        assert str(project).encode() not in (tmp_path / name).read_bytes()
    read, model = decoder.read(tmp_path, 1), writer.read(project / "model")
    assert read.writer.prompt == model.prompt and read.decoder.positions == 96
    size = read.about["clean"], read.about["end_id"], read.bytes
    assert size == (model.clean, model.writer.end_id, report.metrics["bytes"])


def test_a_quantized_graph_is_small_and_checked(project: Path, tmp_path: Path) -> None:
    """Its metrics are those that the spec declares, its bytes the same each time."""
    report = quantize(project, tmp_path, max_batch_difference=0.0)
    assert set(report.metrics) == {metric.path for metric in QuantizedSpec.metrics}
    assert report.metrics["quantized_operations"] == 2 * 4 + 2
    assert report.metrics["bytes"] < 0.45 * report.metrics["bytes_before"]  # pages of a tiny one
    for name in ("model.onnx", "model.onnx.data", "lmspec.json"):
        assert (tmp_path / name).read_bytes() == (project / "quantized" / name).read_bytes()


FOUR = {"bits": 4, "head_bits": 4, "embedding_bits": 4}


@pytest.mark.parametrize(
    ("rule", "contract", "words"),
    [
        (FOUR, {"max_loss_increase": 0.001}, r"loss_increase is 0\.\d+ \(-?0\.\d+ to \d\.\d+\)"),
        (FOUR, {"min_greedy_prefix": 1.0}, r"greedy_prefix is 0\.\d+; the contract allows 1"),
        (FOUR, {"max_disagreement_rate": 0.01}, r"disagreement_rate is 0\.\d+"),
        (FOUR, {"max_mean_probability_difference": 1e-4}, r"mean_probability_difference is 0\.0"),
        (
            {"activations": "float"},
            {"max_batch_difference": 0.0},
            r"batch_difference is \d\.\d+e-0",
        ),
    ],
)
def test_a_contract_names_the_figure_that_breaks_it(
    rule: dict[str, Any], contract: dict[str, Any], words: str, project: Path, tmp_path: Path
) -> None:
    """And the rows that lose most. int4 is offered, and fails here."""
    with pytest.raises(LmspecError, match=words) as caught:
        quantize(project, tmp_path, rule, **contract)
    assert caught.value.found.count("; the contract allows") == 1
    assert caught.value.found.count("\n  row dev-") == writing_quantized.SHOWN


def test_a_contract_holds_the_upper_end_of_the_interval() -> None:
    """A mean below the limit is no proof."""
    lost = dict.fromkeys(("disagreement_rate", "mean_probability_difference"), 0.0)
    lost |= {"greedy_prefix": 1.0, "batch_difference": 0.0, "loss_increase": 0.01}
    lost |= {"loss_increase_low": -0.01, "loss_increase_high": 0.03}
    tight = Contract.model_validate(LOOSE | {"max_loss_increase": 0.02})
    with pytest.raises(LmspecError, match=r"0\.01 \(-0\.01 to 0\.03\); the contract allows 0\.02"):
        writing_quantized.require(lost, tight, "exported.a")
    writing_quantized.require(lost | {"loss_increase_high": 0.02}, tight, "exported.a")
    with pytest.raises(LmspecError, match="loss_increase is nan"):
        nan = {"loss_increase": np.nan, "loss_increase_high": np.nan}
        writing_quantized.require(lost | nan, tight, "exported.a")


def test_the_interval_of_a_loss_covers_it_as_often_as_it_says() -> None:
    """Over groups: rows of one page lose alike, and are not that many proofs."""
    random, inside = np.random.default_rng(3), {True: 0, False: 0}
    zeros = np.zeros(200)
    for _ in range(400):
        tokens = random.integers(1, 30, 200).astype(float)
        shared = np.repeat(random.normal(0.1, 0.3, 40), 5)
        after = tokens * (shared + random.normal(0, 0.1, 200))
        lost = fidelity.Lost(tokens, zeros, after, tokens, zeros)
        for by_group in inside:
            groups = [str(i // 5) if by_group else None for i in range(200)]
            got = lost.metrics(groups)
            inside[by_group] += got["loss_increase_low"] <= 0.1 <= got["loss_increase_high"]
    assert 0.90 < inside[True] / 400 < 0.98 and inside[False] / 400 < 0.8
    one = lost.metrics(["a"] * 200)
    assert one["loss_increase_high"] == np.inf


def test_an_answer_that_differs_is_explained(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its first other token and the margin there: a tie may fall either way, else it fails."""
    own = fidelity.greedy

    def greedy(model: Any, asked: Sequence[Ids], end: int, most: int) -> list[list[int]]:
        written = own(model, asked, end, most)
        if isinstance(model, OnnxDecoder):
            written[0][2] = (written[0][2] + 1) % 300
        return written

    monkeypatch.setattr(fidelity, "greedy", greedy)
    words = r"token 3 of an answer is .* in place of .* a margin of \d"
    with pytest.raises(LmspecError, match=words):
        export(project, tmp_path)
    monkeypatch.setattr(parity, "explained", lambda *_: ("a tie", 1e-6))
    report = export(project, tmp_path)
    assert report.metrics["greedy_same"] == 15 / 16


def test_a_graph_whose_logits_differ_is_no_export(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case that differs most is named."""
    own = exporting.export

    def export_wrong(*arguments: Any) -> Graph:
        written = own(*arguments)
        wrong = {"masked": np.zeros((), np.float32)}
        return replace(written, constants={**written.constants, **wrong})

    monkeypatch.setattr(exporting, "export", export_wrong)
    with pytest.raises(LmspecError, match=r"differs from the model's by .*padded on the left"):
        export(project, tmp_path)


@pytest.mark.parametrize("noun", ["exported", "quantized"])
def test_scores_of_a_graph_are_those_of_its_model(noun: str, project: Path, tmp_path: Path) -> None:
    """Texts and losses; those of int8 nearly."""

    def build(of: str) -> Any:
        fields = {"of": of, "on": ["splits.pairs"], "batch_size": 4, "generation": GREEDY}
        spec = ScoresSpec.model_validate(fields | {"accepted_overlap": []})
        generation = Generation.model_validate(GREEDY)
        return writing_scores.build(spec, generation, needs(project), [], tmp_path)

    documents_of(project)
    graphs, models = (build(f"{n}.pairs").tables["answers"] for n in (noun, "model"))
    assert len(graphs) == 12
    if noun == "exported":
        assert [r["predicted"] for r in graphs] == [r["predicted"] for r in models]
    near = 1e-3 if noun == "exported" else 0.5
    for one, other in zip(graphs, models, strict=True):
        assert abs(one["nll"] - other["nll"]) < near * one["tokens"]
        assert one["tokens"] == other["tokens"]


def test_a_graph_chooses_as_its_model(project: Path, tmp_path: Path) -> None:
    """The same choices, by nearly the same likelihoods."""
    frame = documents.read(project / "splits/test.parquet").with_columns(
        choices=pl.Series([[f"no {row[-1][1]}", row[-1][1], "none"] for row in pairs()[40:60]])
    )
    documents.write(frame, tmp_path / "test.parquet")
    (tmp_path / "counts.json").write_text("{}")
    given = needs(project)
    given = replace(given, folders=given.folders | {"splits.pairs": tmp_path})
    rule = Choosing(with_end=True, rows=None)

    def build(of: str) -> Any:
        fields = {"of": of, "on": ["splits.pairs"], "batch_size": 4, "choices": rule.model_dump()}
        spec = ScoresSpec.model_validate(fields | {"accepted_overlap": []})
        return choosing_scores.build(spec, rule, given, [], tmp_path).tables["choices"]

    of_graph, of_model = build("exported.pairs"), build("model.pairs")
    assert len(of_graph) == 20
    for one, other in zip(of_graph, of_model, strict=True):
        assert one["predicted"] == other["predicted"]
        assert one["nll"] == pytest.approx(other["nll"], abs=1e-3)


def documents_of(project: Path) -> None:
    """What scores read of splits beside the rows."""
    path = project / "splits" / "counts.json"
    if not path.exists():
        path.write_text("{}")


def test_neither_classifiers_nor_torch_are_in_keys_that_need_none() -> None:
    """Scores of a graph, and its quantization, run without torch; classifiers without all this."""
    disk = OnDisk(ROOT)
    for stages in (
        ("stages.scores", "stages.writing_scores", "lmspec.formats.decoder"),
        ("stages.quantized", "stages.writing_quantized"),
    ):
        files = closure(stages, disk).files
        assert "lmspec/writing/onnxdecoder.py" in files
        assert not [f for f in files if "architectures" in f or "torch" in f or "exporting" in f]
    for noun in ("exported", "quantized", "scores"):
        files = closure((f"stages.{noun}",), disk).files
        assert not [file for file in files if "writing" in file]


def test_graphs_of_other_kinds_are_refused(project: Path, tmp_path: Path) -> None:
    """A classifier's schemes on a graph that writes, no cache, and the other way round."""
    with pytest.raises(LmspecError, match="needs a cache"):
        export(project, tmp_path, format=None)
    int8 = Dynamic(kind="dynamic", per_channel=True, reduce_range=True)
    model = decoder.load(project / "exported").model
    with pytest.raises(LmspecError, match="would share a scale"):
        quantizing.quantize(model, int8, [])
    with pytest.raises(LmspecError, match="a model that writes, which has no labels"):
        graph.read(project / "exported", 1)
    (tmp_path / "lmspec.json").write_text(json.dumps({"labels": []}))
    with pytest.raises(LmspecError, match="the graph of a classifier"):
        decoder.read(tmp_path, 1)
    (tmp_path / "lmspec.json").write_text(json.dumps({"kind": "cnn"}))
    with pytest.raises(LmspecError, match="of kind cnn writes nothing"):
        exported.build(
            ExportedSpec.model_validate(
                {
                    "of": "model.pairs",
                    "opset": 20,
                    "max_logit_difference": 1e-4,
                    "format": {"kind": "cache", "max_past": 96, "prompts": "splits.pairs"},
                }
            ),
            stage.Needs({"model.pairs": tmp_path}, NUMERICS, Machine(device="cpu")),
            tmp_path,
        )


def test_files_that_do_not_belong_together_are_refused(project: Path, tmp_path: Path) -> None:
    """With what is wrong, and how to restore them."""
    copy = tmp_path / "copy"

    def broken(name: str, content: bytes, words: str) -> None:
        shutil.copytree(project / "exported", copy)
        (copy / name).write_bytes(content)
        with pytest.raises(LmspecError, match=words) as caught:
            decoder.read(copy, 1)
        assert "dvc checkout" in caught.value.remedy
        shutil.rmtree(copy)

    broken("model.onnx", b"no graph", "model.onnx")
    broken("model.onnx.data", b"", "model.onnx")
    broken("tokenizer.json", b"{}", "it cannot be read")
    words = json.loads((project / "exported/tokenizer.json").read_text())
    words["model"]["vocab"]["a new one"] = 5000
    broken("tokenizer.json", json.dumps(words).encode(), "it has token 5000, and the graph")
    about = json.loads((project / "exported/lmspec.json").read_text()) | {"end_id": 7}
    broken("lmspec.json", json.dumps(about).encode(), "its end is token 7")
