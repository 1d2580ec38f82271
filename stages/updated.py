"""updated: an earlier model, trained on new data.   model, new and old splits -> a model"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmspec import stage
from lmspec.formats import checkpoint, examples
from lmspec.methods import distilling, supervision, training, updating
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import descent
from lmspec.specs.updated import UpdatedSpec


def build(spec: UpdatedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train on the new rows and a sample of the old ones, holding to the earlier model's answers on
    the old."""
    kept = train(spec, needs, needs.bits)
    checkpoint.write(kept.model, out)
    others = training.over_seeds(
        lambda numerics: train(spec, needs, numerics).fitted, descent(spec.training), needs.bits
    )
    report = training.metrics(kept.model.model, kept.fitted, others) | {"rows": kept.rows}
    return stage.Report(report, {"curve": kept.fitted.curve})


@dataclass(frozen=True)
class Trained:
    """rows: how many were new, and how many replayed."""

    model: checkpoint.Checkpoint
    fitted: training.Fitted
    rows: dict[str, int]


def train(spec: UpdatedSpec, needs: stage.Needs, numerics: Numerics) -> Trained:
    """The earlier model, carried on with one seed."""
    earlier = checkpoint.read(needs[spec.of])
    earlier.model.to(needs.machine.device)

    def read(splits: str, split: str) -> examples.Examples:
        return examples.read(needs[splits], split, earlier.tokenizer, earlier.labels)

    new, old = read(spec.on, "train"), [read(replay.of, "train") for replay in spec.replay]
    chosen = [
        updating.replayed(len(part.ids), len(new.ids), replay.per_new_row, numerics.seed, i)
        for i, (part, replay) in enumerate(zip(old, spec.replay, strict=True))
    ]
    ids = new.ids + [part.ids[i] for part, rows in zip(old, chosen, strict=True) for i in rows]
    truth = np.concatenate(
        [new.truth, *(part.truth[rows] for part, rows in zip(old, chosen, strict=True))]
    )
    answers = distilling.answers(earlier.model, ids[len(new.ids) :], earlier.pad_id, ())
    dev = [read(name, "dev") for name in (spec.on, *(replay.of for replay in spec.replay))]
    checkpoint.architecture(earlier.kind).freeze(
        earlier.model, spec.frozen_embeddings, spec.frozen_layers
    )
    dev_ids, dev_truth = [i for d in dev for i in d.ids], np.concatenate([d.truth for d in dev])
    evaluate = supervision.evaluation(earlier.model, dev_ids, dev_truth, earlier.pad_id)
    objective = updating.retaining(truth, answers, len(new.ids), spec.retention)
    task = training.Task(ids, earlier.pad_id, objective, evaluate)
    fitted = training.fit(earlier.model, task, descent(spec.training), numerics)
    return Trained(earlier, fitted, {"new": len(new.ids), "replayed": len(ids) - len(new.ids)})


STAGE = stage.Stage(UpdatedSpec, build)
