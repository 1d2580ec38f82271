"""model: a network, fitted to data.   splits (, sources) -> model.safetensors, tokenizer.json"""

import importlib
from pathlib import Path

from lmspec import stage
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import supervision, training
from lmspec.specs.architecture import Transformer
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import descent


def build(spec: ModelSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Create the network, train it, keep the weights of the best evaluation on the dev split."""
    labels = tuple(documents.read_labels(needs[spec.on]))
    texts = documents.read_split(needs[spec.on], "train")["text"].to_list()
    weights = (
        needs[spec.architecture.weights] if isinstance(spec.architecture, Transformer) else None
    )
    architecture = importlib.import_module(spec.architecture.module)

    recipe = descent(spec.training)

    def train(numerics: Numerics) -> tuple[checkpoint.Checkpoint, training.Fitted]:
        training.seed_weights(numerics)
        network, tokenizer, pad_id = architecture.create(
            spec.architecture, weights, texts, len(labels)
        )
        network.to(needs.machine.device)
        new, dev = (
            examples.read(needs[spec.on], split, tokenizer, labels) for split in ("train", "dev")
        )
        evaluate = supervision.evaluation(network, dev.ids, dev.truth, pad_id)
        task = training.Task(new.ids, pad_id, supervision.cross_entropy(new.truth), evaluate)
        fitted = training.fit(network, task, recipe, numerics)
        return checkpoint.Checkpoint(
            spec.architecture.kind, network, tokenizer, labels, pad_id
        ), fitted

    kept, fitted = train(needs.bits)
    checkpoint.write(kept, out)
    others = training.over_seeds(lambda numerics: train(numerics)[1], recipe, needs.bits)
    return stage.Report(training.metrics(kept.model, fitted, others), {"curve": fitted.curve})


STAGE = stage.Stage(ModelSpec, build)
