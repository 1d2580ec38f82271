"""quantized: a graph in int8, checked against fp32.   exported, splits -> model.onnx"""

import importlib
from collections.abc import Sequence
from pathlib import Path

import onnx

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, examples, graph
from lmspec.methods import company, encoding, quantizing, reading
from lmspec.specs.quantized import Contract, Half, QuantizedSpec, WeightOnly

# by their names: each is in the key of such graphs alone
WRITING, HALVES = "stages.writing_quantized", "lmspec.methods.halfprecision"


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
    single = [reading.collate(windows.ids, [i], source.pad_id) for i in range(len(windows.ids))]
    feeds = ({"input_ids": b.input_ids, "attention_mask": b.attention_mask} for b in single)
    if isinstance(spec.scheme, Half):
        model = importlib.import_module(HALVES).halved(onnx.load(source.path))
    else:
        model = quantizing.quantize(onnx.load(source.path), spec.scheme, feeds)
    graph.write(model, source.tokenizer, source.about(), out)
    result = graph.read(out, needs.bits.threads)
    # one window at a time: the scale of an int8 activation, so the answer, depends on its batch
    before, after = (reading.predicted(g.forward, windows, g.pad_id, 1) for g in (source, result))
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
    operations = {"quantized_operations": quantizing.quantized_operations(model)}
    return stage.Report(lost | size | operations)


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
