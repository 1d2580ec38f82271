"""speed: a graph against another model, in turn, in one run.   graph, model, splits -> data/metrics/speed-<key>.json"""

import functools
import importlib
from pathlib import Path
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.formats import documents
from lmspec.methods import peakmemory, predicting, timing
from lmspec.methods.encoding import Batch, collate, encode
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.speed import SpeedSpec

TIMED = 5  # number of its stream of draws
WEIGHTS = ("*.onnx", "*.safetensors")


def build(spec: SpeedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Latency at batch 1, throughput at the spec's batch size, size on disk and peak memory; ratios above 1 favour the graph."""
    texts = documents.read_split(needs[spec.on], "test")["text"].to_list()
    rng = np.random.default_rng([needs.bits.seed, TIMED])
    texts = [
        texts[i] for i in sorted(rng.choice(len(texts), min(len(texts), spec.texts), replace=False))
    ]
    loads = [
        functools.partial(load, module, needs[ref], needs.bits, needs.machine)
        for module, ref in zip(spec.modules(), (spec.of, spec.against), strict=True)
    ]
    one, other = (Contestant(make(), texts, spec.batch_size) for make in loads)
    latency = timing.in_turn(one.single, other.single, len(texts), spec.rounds)
    batched = timing.in_turn(one.batch, other.batch, len(one.batches), spec.rounds)
    memory = [peakmemory.peak_bytes(functools.partial(use, make, texts)) for make in loads]
    size = [
        sum(f.stat().st_size for glob in WEIGHTS for f in needs[ref].glob(glob))
        for ref in (spec.of, spec.against)
    ]
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
    rounds = timing.rounds(latency, batched, len(texts))
    return stage.Report(report, {"rounds": rounds})


class Contestant:
    """One model with its batches ready, so that only its own work is timed."""

    def __init__(self, model: predicting.Predictor, texts: list[str], batch_size: int) -> None:
        ids = encode(model.tokenizer, texts)
        self.model = model
        self.singles = [collate(ids, [i], model.pad_id) for i in range(len(ids))]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        self.batches = [
            collate(ids, order[i : i + batch_size], model.pad_id)
            for i in range(0, len(ids), batch_size)
        ]

    def single(self, i: int) -> object:
        """Text i alone."""
        return self._run(self.singles[i])

    def batch(self, i: int) -> object:
        """Batch i, from short to long texts."""
        return self._run(self.batches[i])

    def _run(self, batch: Batch) -> object:
        return self.model.forward(batch.input_ids, batch.attention_mask)


def load(module: str, folder: Path, numerics: Numerics, machine: Machine) -> predicting.Predictor:
    """The model or graph in a folder."""
    predictor: predicting.Predictor = importlib.import_module(module).predictor(
        folder, numerics, machine
    )
    return predictor


def use(make: functools.partial[predicting.Predictor], texts: list[str]) -> None:
    """Load it and predict each text once."""
    contestant = Contestant(make(), texts, len(texts))
    for i in range(len(texts)):
        contestant.single(i)


STAGE = stage.Stage(SpeedSpec, build)
