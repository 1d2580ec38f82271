"""exported: a model as an ONNX graph, checked against it.   model -> model.onnx, tokenizer.json"""

import importlib
import tempfile
from pathlib import Path

import onnx

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, graph, kinds
from lmspec.methods import company, exporting, torchrun
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.exported import ExportedSpec


def build(spec: ExportedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Export, then compare every logit over a matrix of shapes and masks."""
    kind = kinds.kind_of(needs[spec.of])
    if (kind in WRITERS) != (spec.format is not None):
        raise LmspecError(f"exported, of {spec.of}", *unsuited(kind))
    if spec.format is not None:
        # by its name: it is in the key of what has that format alone
        writing = importlib.import_module(spec.format.stage)
        made: stage.Report = writing.build(spec, spec.format, needs, out)
        return made
    assert spec.opset is not None  # operators_are_of_a_graph
    source = checkpoint.read(needs[spec.of])
    architecture = checkpoint.architecture(source.kind)
    max_length = source.max_length
    model = graph.anonymous(
        exporting.export(architecture.exportable(source.model), max_length, spec.opset)
    )
    onnx.checker.check_model(model)
    vocabulary = source.tokenizer.get_vocab_size()
    reference = checkpoint.read(needs[spec.of]).model  # tracing changed the attention of the other
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.onnx")
        path.write_bytes(model.SerializeToString())
        session = graph.session(path, needs.bits.threads)
        worst, where = exporting.largest_difference(
            torchrun.forward(reference),
            lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0],
            max_length,
            architecture.MASKS,
            vocabulary,
        )
    if not worst <= spec.max_logit_difference:
        raise LmspecError(
            f"exported, of {spec.of}",
            f"a logit of the graph differs from the model's by {worst:.3g} ({where}); "
            f"{spec.max_logit_difference:g} is accepted",
            "do not ship it: try another opset, or report the architecture",
        )
    about = {
        "labels": list(source.labels),
        "pad_id": source.pad_id,
        "masks": list(architecture.MASKS),
        "long_texts": source.long_texts,
        "clean": dict(source.clean),
    } | ({"private": dict(source.private)} if source.private else {})
    graph.write(model, source.tokenizer, about, out)
    forward = graph.read(out, 1).forward  # one thread, as a service computes
    probes = company.probes(vocabulary, max_length)
    report = {
        "largest_logit_difference": worst,
        "batch_difference": company.batch_difference(forward, probes, source.pad_id),
        "nodes": len(model.graph.node),
        "bytes": (out / "model.onnx").stat().st_size,
    }
    return stage.Report(report)


def unsuited(kind: str) -> tuple[str, str]:
    """Why a kind of model has no graph of that format, and what to do."""
    if kind == "nearest":
        return "a list of pairs is no graph", "score the model itself"
    if kind in WRITERS:
        return f"a model of kind {kind} needs a cache", "say so: `format: {kind: cache, ...}`"
    return f"a model of kind {kind} writes nothing: it is exported without one", "remove `format`"


STAGE = stage.Stage(ExportedSpec, build)
