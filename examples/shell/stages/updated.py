"""updated: an earlier model, trained on new data.   model, new and old splits -> a model"""

import dataclasses
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, examples, kinds, seenfile
from lmspec.methods import balancing, coverage, encoding, reading
from lmspec.specs.checks.model import FIXED_FEATURES
from lmspec.specs.checks.updated import FITTED_ONCE
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import descent
from lmspec.specs.updated import UpdatedSpec
from lmspec.training import distilling, loop, seeds, summary, supervision, updating
from lmspec.training.suited import require_suited
from lmspec.training.task import Fitted, Task

WRITING = "stages.writing_updated"  # by its name: it is in the key of models that write alone


def build(spec: UpdatedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train on the new rows and a sample of the old ones, holding to the earlier model's answers on
    the old."""
    made_from = {
        str(replay.of): next(iter(seenfile.read(needs[replay.of])))
        for replay in spec.replay
        if replay.of.noun == "augmented"
    }
    updating.require_trained_on(seenfile.read(needs[spec.of]), spec, made_from)
    require_suited(spec, kinds.architecture_of(needs[spec.of]))
    if spec.retention.top_logits is not None:
        written: stage.Report = importlib.import_module(WRITING).build(spec, needs, out)
        return written
    kept = train(spec, needs, needs.bits)
    checkpoint.write(kept.model, out)
    others = seeds.over_seeds(
        lambda numerics: train(spec, needs, numerics).fitted, descent(spec.training), needs.bits
    )
    report = summary.metrics(kept.model.model, kept.fitted, others)
    report |= {"rows": kept.rows, "train": coverage.metrics(kept.windows)}
    return stage.Report(report, {"curve": kept.fitted.curve})


@dataclass(frozen=True)
class Trained:
    """windows: of the training texts; rows: how many of those were new, and how many replayed."""

    model: checkpoint.Checkpoint
    fitted: Fitted
    windows: reading.Windows
    rows: dict[str, int]


def train(spec: UpdatedSpec, needs: stage.Needs, numerics: Numerics) -> Trained:
    """The earlier model, carried on with one seed."""
    clean = documents.read_clean(needs[spec.on])
    earlier = dataclasses.replace(checkpoint.read(needs[spec.of]), clean=clean, private=None)
    if earlier.kind in FIXED_FEATURES:
        found, remedy = FITTED_ONCE
        raise LmspecError("updated.of", f"{spec.of} is of kind {earlier.kind}: {found}", remedy)
    earlier.model.to(needs.machine.device)

    recipe = descent(spec.training)

    def read(splits: str, split: str) -> examples.Examples:
        further = balancing.columns(recipe) if split == "train" else ()
        return examples.read(needs[splits], split, earlier.reader, earlier.labels, further)

    new, old = read(spec.on, "train"), [read(replay.of, "train") for replay in spec.replay]
    chosen = [
        updating.replayed(len(part.truth), len(new.truth), replay.per_new_row, numerics.seed, i)
        for i, (part, replay) in enumerate(zip(old, spec.replay, strict=True))
    ]
    both = together([new, *old], [np.arange(len(new.truth)), *chosen])
    windows, truth = both.windows, both.truth
    parts = [read(name, "dev") for name in (spec.on, *(replay.of for replay in spec.replay))]
    dev = together(parts, [np.arange(len(part.truth)) for part in parts])
    if numerics == needs.bits:
        for line in both.described("train", earlier.reader, earlier.labels):
            stage.say(line)
        for line in balancing.described(recipe, truth, both.documents):
            stage.say(line)
    answers = distilling.answers(
        earlier.model, windows.ids[len(new.windows.ids) :], earlier.pad_id, ()
    )
    checkpoint.architecture(earlier.kind).freeze(
        earlier.model, spec.frozen_embeddings, spec.frozen_layers
    )
    evaluate = supervision.evaluation(earlier.model, dev.windows, dev.truth, earlier.pad_id)
    objective = updating.retaining(
        truth[windows.of_text],
        encoding.weights(balancing.of_texts(recipe, truth, both.documents), windows.of_text),
        answers,
        len(new.windows.ids),
        spec.retention,
        recipe.loss,
    )
    prior = supervision.prior_log_loss(dev.truth)
    task = Task(
        windows.ids,
        earlier.pad_id,
        objective,
        evaluate,
        prior,
        both.named,
        dev=dev.windows.ids,
    )
    fitted = loop.fit(earlier.model, task, recipe, numerics, needs.resume)
    rows = {"new": len(new.truth), "replayed": len(truth) - len(new.truth)}
    return Trained(earlier, fitted, windows, rows)


def together(
    parts: Sequence[examples.Examples], texts: Sequence[NDArray[np.int64]]
) -> examples.Examples:
    """Some texts of each part, in order."""
    pairs = list(zip(parts, texts, strict=True))
    return examples.Examples(
        encoding.joined([(part.windows, rows) for part, rows in pairs]),
        np.concatenate([part.truth[rows] for part, rows in pairs]),
        pl.concat([part.documents[rows] for part, rows in pairs]),
    )


STAGE = stage.Stage(UpdatedSpec, build)
