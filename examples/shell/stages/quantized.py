"""quantized: a graph in int8, checked against fp32.   exported, splits -> model.onnx"""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, examples, graph
from lmspec.formats.graph import Graph
from lmspec.methods import company, encoding, quantizing, reading
from lmspec.methods.reading import Floats, Windows
from lmspec.specs.quantized import Contract, Dynamic, Half, QuantizedSpec, Static, WeightOnly

# by their names: each is in the key of such graphs alone
WRITING, HALVES = "stages.writing_quantized", "lmspec.methods.halfprecision"
SENSITIVITY = "lmspec.methods.sensitivity"


def build(spec: QuantizedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Quantize, then compare both graphs on texts of the dev split."""
    if isinstance(spec.scheme, WeightOnly):
        writing = importlib.import_module(WRITING)
        made: stage.Report = writing.build(spec, spec.scheme, needs, out)
        return made
    source = graph.read(needs[spec.of], needs.bits.threads)
    dev = examples.read(needs[spec.calibrate], "dev", source.reader, source.labels)
    drawn = quantizing.drawn(len(dev.truth), spec.calibration_rows, needs.bits.seed)
    windows = encoding.joined([(dev.windows, drawn)])
    before = predicted(source, windows)
    made, costs = converted(spec.scheme, source, windows, before, needs.bits.threads)
    graph.write(made, source.tokenizer, source.about(), out)
    result = graph.read(out, needs.bits.threads)
    after = predicted(result, windows)
    lost = quantizing.loss_of(before, after)
    forward = graph.read(out, 1).forward  # one thread, as a service computes
    lost["batch_difference"] = company.batch_difference(forward, windows.ids, result.pad_id)
    texts = documents.read_split(needs[spec.calibrate], "dev", ["text"])["text"].to_list()
    worst = [
        f"{texts[drawn[i]][:60]!r}: {source.labels[label]} {one:.3f} -> {other:.3f}"
        for i, label, one, other in quantizing.furthest(before, after)
    ]
    require(lost, spec.contract, spec.of, worst)
    size = {"bytes": result.path.stat().st_size, "bytes_before": source.path.stat().st_size}
    operations = {"quantized_operations": quantizing.quantized_operations(made)}
    tables = {"sensitivity": costs} if costs else {}
    return stage.Report(lost | size | operations, tables)


def predicted(of: Graph, windows: Windows) -> Floats:
    """(n, k) probabilities, one text at a time: the scale of an int8 activation, so the answer,
    depends on its batch."""
    return reading.predicted(of.forward, windows, of.pad_id, 1)


def converted(
    scheme: Dynamic | Static | Half, source: Graph, windows: Windows, before: Floats, threads: int
) -> tuple[onnx.ModelProto, list[dict[str, Any]]]:
    """The graph in fewer bits, and what each of its matrix products costs if some stay in fp32."""
    model = onnx.load(source.path)
    if isinstance(scheme, Half):
        return importlib.import_module(HALVES).halved(model), []
    if isinstance(scheme, Dynamic) and scheme.float_operations:
        return partial(scheme, scheme.float_operations, source, windows, before, threads)
    single = [reading.collate(windows.ids, [i], source.pad_id) for i in range(len(windows.ids))]
    feeds = ({"input_ids": b.input_ids, "attention_mask": b.attention_mask} for b in single)
    return quantizing.quantize(model, scheme, feeds), []


def partial(
    scheme: Dynamic, count: int, source: Graph, windows: Windows, before: Floats, threads: int
) -> tuple[onnx.ModelProto, list[dict[str, Any]]]:
    """The graph in int8 but for those matrix products that lose most by it."""

    def answers(model: onnx.ModelProto) -> Floats:
        session = graph.session(model.SerializeToString(), threads)
        return predicted(dataclasses.replace(source, session=session), windows)

    sensitivity = importlib.import_module(SENSITIVITY)
    prepared = quantizing.prepared(onnx.load(source.path))
    sensitivity.require_more(prepared, count)
    stage.say("what each matrix product loses in int8")
    costs = sensitivity.costs(prepared, scheme, before, answers)
    kept = [each.name for each in costs[:count]]
    for each in costs[:count]:
        shown = f"{each.inputs} x {each.outputs}, {each.difference:.4f} without its int8"
        stage.say(f"  {each.name} stays in fp32: {shown}")
    rows = [{**each._asdict(), "in_float": each.name in kept} for each in costs]
    return quantizing.quantize(prepared, scheme, (), kept), rows


def require(lost: dict[str, float], contract: Contract, of: str, worst: Sequence[str] = ()) -> None:
    """Raise LmspecError if the int8 graph lost more than the contract allows.

    worst: texts whose probabilities changed most, each with both
    """
    for name, limit in contract.model_dump(exclude_none=True).items():
        value = lost[name.removeprefix("max_")]
        if not value <= limit:
            raise LmspecError(
                f"quantized, of {of}",
                f"{name.removeprefix('max_')} is {value:.4g}; the contract allows {limit:g}"
                + "".join(f"\n  {text}" for text in worst),
                "try per_channel, reduce_range or the other scheme; or loosen the contract, "
                "if you can bear the loss",
            )


STAGE = stage.Stage(QuantizedSpec, build)
