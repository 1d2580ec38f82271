"""updated: an earlier model carried on to new data.   model, new splits, old splits -> the files of a model"""

from pathlib import Path

import numpy as np

from lmspec import stage
from lmspec.formats import checkpoint, examples
from lmspec.methods import distilling, supervision, training, updating
from lmspec.specs.updated import UpdatedSpec


def build(spec: UpdatedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train on the new rows and a sample of the old ones, holding to the earlier model's answers on the old."""
    earlier = checkpoint.read(needs[spec.of])
    earlier.model.to(needs.machine.device)

    def read(splits: str, side: str) -> examples.Examples:
        return examples.read(needs[splits], side, earlier.tokenizer, earlier.labels)

    new = read(spec.on, "train")
    old = [read(replay.of, "train") for replay in spec.replay]
    chosen = [
        updating.replayed(len(part.ids), len(new.ids), replay.per_new_row, needs.bits.seed, i)
        for i, (part, replay) in enumerate(zip(old, spec.replay, strict=True))
    ]
    ids = new.ids + [part.ids[i] for part, rows in zip(old, chosen, strict=True) for i in rows]
    truth = np.concatenate([new.truth, *(part.truth[rows] for part, rows in zip(old, chosen, strict=True))])
    answers = distilling.answers(earlier.model, ids[len(new.ids) :], earlier.pad_id, ())
    dev = [read(name, "dev") for name in (spec.on, *(replay.of for replay in spec.replay))]
    checkpoint.architecture(earlier.kind).freeze(earlier.model, spec.frozen_embeddings, spec.frozen_layers)
    dev_ids, dev_truth = [i for d in dev for i in d.ids], np.concatenate([d.truth for d in dev])
    evaluate = supervision.evaluation(earlier.model, dev_ids, dev_truth, earlier.pad_id)
    objective = updating.retaining(truth, answers, len(new.ids), spec.retention)
    task = training.Task(ids, earlier.pad_id, objective, evaluate)
    fitted = training.fit(earlier.model, task, spec.training, needs.bits)
    checkpoint.write(earlier, out)
    rows = {"new": len(new.ids), "replayed": len(ids) - len(new.ids)}
    return stage.Report(training.metrics(earlier.model, fitted) | {"rows": rows}, {"curve": fitted.curve})


if __name__ == "__main__":
    stage.run("updated", UpdatedSpec, build)
