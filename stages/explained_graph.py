"""explained, of a graph: asked as it is served, since nothing inside of it can be seen."""

from pathlib import Path

import onnx

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import graph
from lmspec.methods import attributing, masks, shuffledgraph
from lmspec.methods.predicting import Predictor
from lmspec.methods.subject import Subject
from lmspec.methods.wordreader import WordReader
from lmspec.specs.explained import COMPUTED_BY, ExplainedSpec


def opened(spec: ExplainedSpec, needs: stage.Needs, scratch: Path | None = None) -> Subject:
    """The graph as it is; with `scratch`, a folder to write to, its weights shuffled.

    Raises LmspecError if the method needs gradients or attention.
    """
    if spec.method.kind in COMPUTED_BY:
        found = f"{spec.method.kind} looks into a network, and {spec.of} is a graph"
        raise LmspecError("explained.method", found, "use occlusion or shapley")
    source = graph.read(needs[spec.of], needs.bits.threads)
    if scratch is not None:
        other = shuffledgraph.shuffled(onnx.load(source.path), spec.control.seed)
        graph.write(other, source.tokenizer, source.about(), scratch)
        source = graph.read(scratch, needs.bits.threads)
    reader = WordReader(source.tokenizer, source.long_texts)
    return Subject(
        Predictor(source.forward, reader, source.labels, source.pad_id),
        reader,
        masks.of(spec, reader),
        spec.batch_size,
        attributing.MODEL_FREE[spec.method.kind](spec.method, needs.bits.seed),
    )
