"""updated, of a model that writes: trained on new rows.   model, new and old splits -> a model

stages/updated.py begins it.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmspec import stage
from lmspec.architectures import causal
from lmspec.formats import conversations, documents, writer
from lmspec.methods.reading import Ids
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import descent
from lmspec.specs.updated import UpdatedSpec
from lmspec.training import descending, imitating, seeds, summary, updating
from lmspec.training.task import Fitted


def build(spec: UpdatedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train on the new rows and a sample of the old ones, holding to the earlier model's
    probabilities of the tokens of the old."""
    kept = train(spec, needs, needs.bits)
    writer.write(kept.model, out)
    others = seeds.over_seeds(
        lambda numerics: train(spec, needs, numerics).fitted, descent(spec.training), needs.bits
    )
    report = summary.metrics(kept.model.model, kept.fitted, others)
    report |= {"rows": kept.rows, "train": kept.both.metrics}
    return stage.Report(report, {"curve": kept.fitted.curve})


@dataclass(frozen=True)
class Trained:
    """both: new rows and replayed ones; rows: how many of each, without those that are too long."""

    model: writer.WriterModel
    fitted: Fitted
    both: conversations.Conversations
    rows: dict[str, int]


def train(spec: UpdatedSpec, needs: stage.Needs, numerics: Numerics) -> Trained:
    """The earlier model, carried on with one seed. All seeds learn from the same new rows."""
    clean = documents.read_clean(needs[spec.on])
    earlier = dataclasses.replace(writer.read(needs[spec.of]), clean=clean)
    network, pad_id, recipe = earlier.model, earlier.pad_id, descent(spec.training)
    network.to(needs.machine.device)
    new = conversations.read(needs[spec.on], "train", earlier.writer, spec.rows, needs.bits.seed)
    old = [
        conversations.read_some(
            needs[replay.of], "train", earlier.writer, drawn(spec, numerics, new, i)
        )
        for i, replay in enumerate(spec.replay)
    ]
    both = conversations.together([new, *old])
    dev = conversations.together(
        [
            conversations.read(needs[splits], "dev", earlier.writer)
            for splits in (spec.on, *(replay.of for replay in spec.replay))
        ]
    )
    if numerics == needs.bits:
        for split, part in (("train", both), ("dev", dev)):
            for line in part.described(split, earlier.writer):
                stage.say(line)
    count, retention = len(new.ids), spec.retention
    assert retention.top_logits is not None  # stages/updated.py goes by it
    kept = imitating.kept(
        network,
        both.ids[count:],
        both.learned[count:],
        pad_id,
        retention.top_logits,
        retention.temperature,
    )
    stage.say(f"{kept}, of the earlier model")
    causal.freeze(network, spec.frozen_embeddings, spec.frozen_layers)
    objective = imitating.retaining(kept, count, retention, descending.smoothing(recipe))
    task = descending.task(network, both, dev, pad_id, recipe, objective)
    fitted = descending.fit(network, task, recipe, numerics, needs.resume)
    rows = new.metrics["rows"]
    return Trained(earlier, fitted, both, {"new": rows, "replayed": both.metrics["rows"] - rows})


def drawn(
    spec: UpdatedSpec, numerics: Numerics, new: conversations.Conversations, which: int
) -> Callable[[int], Ids]:
    """Which of the old rows are replayed, by their number."""
    per_new_row, rows = spec.replay[which].per_new_row, new.metrics["rows"]
    return lambda count: updating.replayed(count, rows, per_new_row, numerics.seed, which)
