"""model: a network, fitted to data.   splits (, sources) -> model.safetensors, tokenizer.json"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from lmspec import stage
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import coverage, encoding, supervision, training
from lmspec.specs.architecture import Transformer
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import descent


@dataclass(frozen=True)
class Trained:
    """A model, how it was trained, and the texts that it learned from."""

    model: checkpoint.Checkpoint
    fitted: training.Fitted
    new: examples.Examples


def build(spec: ModelSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Create the network, train it, keep the weights of the best evaluation on the dev split."""
    kept = train(spec, needs, needs.bits)
    checkpoint.write(kept.model, out)
    others = training.over_seeds(
        lambda numerics: train(spec, needs, numerics).fitted, descent(spec.training), needs.bits
    )
    report = training.metrics(kept.model.model, kept.fitted, others)
    return stage.Report(
        report | {"train": coverage.metrics(kept.new.windows)}, {"curve": kept.fitted.curve}
    )


def train(spec: ModelSpec, needs: stage.Needs, numerics: Numerics) -> Trained:
    """One model, with one seed."""
    labels = tuple(documents.read_labels(needs[spec.on]))
    texts = documents.read_split(needs[spec.on], "train")["text"].to_list()
    weights = (
        needs[spec.architecture.weights] if isinstance(spec.architecture, Transformer) else None
    )
    architecture = importlib.import_module(spec.architecture.module)
    training.seed_weights(numerics)
    network, tokenizer, pad_id = architecture.create(spec.architecture, weights, texts, len(labels))
    network.to(needs.machine.device)
    model = checkpoint.Checkpoint(
        spec.architecture.kind,
        network,
        tokenizer,
        labels,
        pad_id,
        getattr(spec.architecture, "long_texts", None),  # a linear model reads all
        documents.read_clean(needs[spec.on]),
    )
    new, dev = (
        examples.read(needs[spec.on], split, model.reader, labels) for split in ("train", "dev")
    )
    for split, part in (("train", new), ("dev", dev)) if numerics == needs.bits else ():
        stage.say(f"{split}: {coverage.described(part.windows, model.reader)}")
    objective = supervision.cross_entropy(
        new.truth[new.windows.of_text], encoding.shares(new.windows.of_text)
    )
    evaluate = supervision.evaluation(network, dev.windows, dev.truth, pad_id)
    task = training.Task(new.windows.ids, pad_id, objective, evaluate)
    return Trained(model, training.fit(network, task, descent(spec.training), numerics), new)


STAGE = stage.Stage(ModelSpec, build)
