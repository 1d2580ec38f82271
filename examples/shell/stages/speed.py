"""speed: a graph and another model, timed in turn.   graph, model, splits -> speed-<name>.json"""

import functools
import importlib
from pathlib import Path
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.formats import documents
from lmspec.methods import peakmemory, predicting, timing
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.speed import SpeedSpec

TIMED = 5  # number of its stream of draws
WEIGHTS = ("*.onnx", "*.onnx.data", "*.safetensors")
WRITING = "stages.writing_speed"  # by its name: it is in the key of such measurements alone


def build(spec: SpeedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Latency at batch 1, throughput at the spec's batch size, bytes on disk, peak memory.

    Ratios above 1 favour the graph.
    """
    if spec.generation is not None:
        writing = importlib.import_module(WRITING)
        made: stage.Report = writing.build(spec, spec.generation, needs)
        return made
    texts = documents.read_split(needs[spec.on], "test")["text"].to_list()
    rng = np.random.default_rng([needs.bits.seed, TIMED])
    drawn = rng.choice(len(texts), min(len(texts), spec.texts), replace=False)
    texts = [texts[i] for i in sorted(drawn)]
    refs = (spec.of, spec.against)
    loads = [
        functools.partial(load, module, needs[ref], needs.bits, needs.machine)
        for module, ref in zip(spec.modules(), refs, strict=True)
    ]
    graph, model = (timing.Contestant(make(), texts, spec.batch_size) for make in loads)
    latency = timing.in_turn(graph.single, model.single, len(texts), spec.rounds)
    batched = timing.in_turn(graph.batch, model.batch, len(graph.batches), spec.rounds)
    memory = [peakmemory.peak_bytes(functools.partial(use, make, texts)) for make in loads]
    size = [weights_bytes(needs[ref]) for ref in refs]
    report: dict[str, Any] = {
        name: {
            "latency_ms": {
                "p50": latency[i].milliseconds(0.5),
                "p95": latency[i].milliseconds(0.95),
            },
            "texts_per_second": len(texts) / float(np.median(batched[i].seconds.sum(1))),
            "weights_bytes": size[i],
            "peak_memory_bytes": memory[i],
        }
        for i, name in enumerate(("of", "against"))
    }
    report["ratio"] = {
        "latency_p50": timing.ratio(*latency, 0.5),
        "latency_p95": timing.ratio(*latency, 0.95),
        "throughput": timing.ratio(*batched, 0.5),
        "weights": size[1] / size[0],
        "peak_memory": memory[1] / memory[0],
    }
    return stage.Report(report, {"rounds": timing.rounds(latency, batched, len(texts))})


def load(module: str, folder: Path, numerics: Numerics, machine: Machine) -> predicting.Predictor:
    """The model or graph in a folder."""
    reader = importlib.import_module(module)
    predictor: predicting.Predictor = reader.predictor(folder, numerics, machine)
    return predictor


def use(make: functools.partial[predicting.Predictor], texts: list[str]) -> None:
    """Load it and predict each text once."""
    contestant = timing.Contestant(make(), texts, len(texts))
    for i in range(len(texts)):
        contestant.single(i)


def weights_bytes(folder: Path) -> int:
    """Size of its weights on disk."""
    return sum(file.stat().st_size for glob in WEIGHTS for file in folder.glob(glob))


STAGE = stage.Stage(SpeedSpec, build)
