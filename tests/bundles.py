"""bundles: a small bundle, made in a folder within a tenth of a second."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lmspec.formats import deployed, graph, manifest
from lmspec.methods import bytepair
from tests import miniature

CLEAN = {"fix_unicode": True, "unescape_html": True}
LABELS = ["bad", "good", "so so"]
CARD = {"README.md": "# Good or bad\n"}
WIDTH = 1024  # of layers that change no answer
MADE_FROM = {"exported.a": "1" * 64, "scores.a": "2" * 64}


def make(
    folder: Path,
    serving: Mapping[str, Any] | None = None,
    int8: bool = False,
    seed: int = 1,
    files: Mapping[str, str] = CARD,
    layers: int = 0,
) -> Path:
    """A bundle of a graph that looks up a row of logits for each token.

    int8   the rows go through int8, with one scale for all that is computed together
    seed   of the rows
    files  further ones
    layers that change no answer, and take a third of a millisecond each
    """
    texts = [text for _, text, _ in miniature.sentences("")]
    tokenizer = bytepair.train(texts, 300, 16)
    about = {"labels": LABELS, "pad_id": 0, "masks": ["full"]}
    about |= {"long_texts": "windows", "clean": CLEAN}
    graph.write(drawn(tokenizer.get_vocab_size(), int8, seed, layers), tokenizer, about, folder)
    deployed.write(folder)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    manifest.write(folder, "Good or bad", MADE_FROM, serving)
    return folder


def drawn(rows: int, int8: bool = False, seed: int = 1, layers: int = 0) -> onnx.ModelProto:
    """Logits: the sum over tokens of a row each, where the mask is 1."""
    table = np.random.default_rng(seed).normal(size=(rows, len(LABELS))).astype(np.float32)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["in_int8" if int8 else "rows", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axes"], ["sums"], keepdims=0),
        helper.make_node("MatMul", ["sums", "widen"], ["layer_0"]),
        *(
            helper.make_node("MatMul", [f"layer_{i}", "square"], [f"layer_{i + 1}"])
            for i in range(layers)
        ),
        helper.make_node("MatMul", [f"layer_{layers}", "narrow"], ["nothing"]),
        helper.make_node("Add", ["sums", "nothing"], ["logits"]),
    ]
    if int8:
        nodes[1:1] = [
            helper.make_node("DynamicQuantizeLinear", ["rows"], ["bytes", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["in_int8"]),
        ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1]), "axes"),
        numpy_helper.from_array(np.array([2]), "last"),
        numpy_helper.from_array(np.zeros((len(LABELS), WIDTH), np.float32), "widen"),
        numpy_helper.from_array(np.zeros((WIDTH, len(LABELS)), np.float32), "narrow"),
    ]
    if layers:
        square = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)).astype(np.float32)
        constants.append(numpy_helper.from_array(square, "square"))
    made = helper.make_graph(nodes, "graph", inputs, [output], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
