"""explained, of a graph that writes: asked as it is served; nothing inside of it can be seen."""

import shutil
from pathlib import Path

import numpy as np

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import decoder
from lmspec.methods import attributing
from lmspec.specs.explained import COMPUTED_BY, ExplainedSpec
from lmspec.writing.onnxgraph import Graph
from lmspec.writing.prompted import Prompts
from lmspec.writing.wordwriter import WordWriter

ROTATIONS = ("cos", "sin")  # tables of positions, which are no weights


def opened(spec: ExplainedSpec, needs: stage.Needs, scratch: Path | None = None) -> Prompts:
    """The graph as it is; with `scratch`, a folder to write to, its weights shuffled.

    Raises LmspecError if the method needs gradients or attention.
    """
    if spec.method.kind in COMPUTED_BY:
        found = f"{spec.method.kind} looks into a network, and {spec.of} is a graph"
        raise LmspecError("explained.method", found, "use occlusion or shapley")
    folder = needs[spec.of]
    if scratch is not None:
        decoder.write_graph(mixed(decoder.load(folder), spec.control.seed), scratch)
        for name in ("tokenizer.json", "lmspec.json"):
            shutil.copy(folder / name, scratch / name)
        folder = scratch
    graph = decoder.read(folder, needs.bits.threads)
    own = (graph.about[name] for name in ("prompt", "max_length", "long_texts"))
    assert spec.answers is not None
    return Prompts(
        graph.decoder,
        WordWriter(graph.tokenizer, *own),
        spec.answers,
        spec.masking == "remove",
        attributing.MODEL_FREE[spec.method.kind](spec.method, needs.bits.seed),
    )


def mixed(graph: Graph, seed: int) -> Graph:
    """The graph with the entries of each of its matrices permuted, quantized ones, too."""
    constants = {}
    for number, (name, value) in enumerate(graph.constants.items()):
        constants[name] = value
        if value.ndim > 1 and value.dtype.kind in "fu" and name not in ROTATIONS:
            places = attributing.permuted(seed, number, value.size)
            constants[name] = np.asarray(value).ravel()[places].reshape(value.shape)
    return Graph(graph.model, constants)
