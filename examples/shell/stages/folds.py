"""folds: every row answered by a model without it.   splits (, sources) -> rows.parquet"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, examples, outoffold
from lmspec.methods import (
    coverage,
    crossvalidating,
    duplicates,
    metrics,
    reading,
    splitting,
    torchrun,
)
from lmspec.methods.crossvalidating import Fold, Rows
from lmspec.methods.reading import Windows
from lmspec.specs.checks import folds as checks
from lmspec.specs.folds import FoldsSpec
from lmspec.specs.model import ModelSpec
from lmspec.specs.training import descent, head
from lmspec.training import loop
from lmspec.training.supervision import EVALUATION_BATCH
from stages import model

MODEL: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)
DIGITS = 6


@dataclasses.dataclass(frozen=True)
class Answered:
    """The held-out rows of a fold: their windows, and (n, labels) probabilities."""

    windows: Windows
    probabilities: metrics.Floats


def build(spec: FoldsSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train one model without each fold; let it answer the fold."""
    for found in checks.suits(needs.section):
        raise LmspecError(f"folds.{found.steps[0]}", found.found, found.remedy)
    whole = MODEL.validate_python(needs.section)
    frame, rows = folded(spec, needs[whole.on])
    place = f"folds, of {spec.of}"
    fold = crossvalidating.assigned(rows, spec.folds, spec.seed, place)
    parts = list(crossvalidating.each(rows, fold, spec.dev, spec.seed, place))
    answered, table = [], []
    for number, part in enumerate(parts, 1):
        stage.say(f"fold {number} of {spec.folds}: {len(part.held_out):,} rows are held out")
        answer, watched = answer_of(whole, needs, frame, part, number)
        answered.append(answer)
        table.append(row_of(number, part, watched, rows.truth[part.held_out], answer))
    order = np.concatenate([part.held_out for part in parts])
    probabilities = np.concatenate([each.probabilities for each in answered])[np.argsort(order)]
    read = coverage.metrics(together([each.windows for each in answered]))
    ids = tuple(frame["id"])
    outoffold.write(outoffold.OutOfFold(ids, fold, probabilities, tuple(rows.labels), read), out)
    counts = {"rows": len(ids), "smallest_fold": min(row["rows"] for row in table)}
    fewest = min(row["training_rows"] for row in table)
    return stage.Report(counts | {"fewest_training_rows": fewest}, {"folds": table})


def folded(spec: FoldsSpec, splits: Path) -> tuple[pl.DataFrame, Rows]:
    """The rows that are folded, ordered by id, and what stays together of them."""
    names = [split for split in splitting.SPLITS if spec.dev is not None or split != "dev"]
    parts = [
        documents.read_split(splits, split).with_columns(
            common=pl.Series(documents.read_ids(splits, split), dtype=pl.String)
        )
        for split in names
    ]
    frame = pl.concat(parts).sort("id")
    labels = examples.labels_of(splits)
    ids = frame["common"].to_list()
    pairs = [*duplicates.equal_pairs(ids)]
    if spec.keep_together:
        pairs += duplicates.near_pairs(frame["text"].to_list(), spec.keep_together, stage.say)
    units = splitting.components(frame.height, frame["group"].to_list(), pairs)
    truth = np.asarray([labels.index(label) for label in frame["label"]], np.int64)
    return frame.drop("common"), Rows(ids, truth, labels, units)


def answer_of(
    spec: ModelSpec, needs: stage.Needs, frame: pl.DataFrame, part: Fold, number: int
) -> tuple[Answered, int]:
    """What a model that is trained without the fold answers to it; and its rows on dev."""
    with tempfile.TemporaryDirectory() as scratch:
        splits = written(Path(scratch), needs[spec.on], frame, part)
        own = dataclasses.replace(
            needs,
            folders={**needs.folders, spec.on: splits},
            # one process: the trainings are many, and small
            numerics=needs.bits.model_copy(update={"world": None, "sharding": None}),
            resume=None,
        )
        network, watched = trained(spec, own, number, Path(scratch))
        held_out = examples.read(splits, "test", network.reader, network.labels)
        forward = torchrun.forward(network.model.eval())
        probabilities = reading.predicted(
            forward, held_out.windows, network.pad_id, EVALUATION_BATCH
        )
        return Answered(held_out.windows, probabilities), watched


def written(folder: Path, splits: Path, frame: pl.DataFrame, part: Fold) -> Path:
    """A folder of splits: what is learned is its train split, what is held out its test split."""
    places = {"train": part.train, "dev": part.dev, "test": part.held_out}
    for split, positions in places.items():
        own = frame[positions.tolist()]
        if split == "dev" and not len(positions):
            own = documents.read_split(splits, split)
        documents.write(own, folder / f"{split}.parquet")
    documents.write_labels(documents.read_labels(splits), folder)
    documents.write_clean(documents.read_clean(splits), folder)
    return folder


def trained(
    spec: ModelSpec, needs: stage.Needs, number: int, scratch: Path
) -> tuple[checkpoint.Checkpoint, int]:
    """One model, as its own stage would train it with one seed; and its rows on dev."""
    if head(spec.training) is not None:
        solved, _, _ = model.solution(spec, needs, None)
        return solved.model, len(solved.dev.truth)
    recipe = descent(spec.training).model_copy(update={"seeds": 1})
    network = model.prepared(spec, needs, needs.bits)
    task = dataclasses.replace(network.task, curve=f"fold-{number}")
    loop.fit(network.model.model, task, recipe, needs.bits, None)
    if network.adapted:
        model.merged(network, scratch)
    return network.model, len(network.dev.truth)


def row_of(
    number: int, part: Fold, watched: int, truth: crossvalidating.Ints, answer: Answered
) -> dict[str, Any]:
    """A row of the table: what the fold's model learned from, and how right it is."""
    hits = answer.probabilities.argmax(1) == truth
    return {
        "fold": number,
        "rows": len(truth),
        "training_rows": len(part.train),
        "dev_rows": watched,
        "accuracy": round(float(hits.mean()), DIGITS),
        "log_loss": round(metrics.log_loss(truth, answer.probabilities), DIGITS),
    }


def together(parts: Sequence[Windows]) -> Windows:
    """The windows of all folds, without their tokens, of which coverage.py counts none."""

    def all_of(name: str) -> crossvalidating.Ints:
        return np.concatenate([getattr(part, name) for part in parts])

    unknown = None if parts[0].unknown is None else all_of("unknown")
    return Windows((), np.empty(0, np.int64), all_of("tokens"), all_of("unread"), unknown)


STAGE = stage.Stage(FoldsSpec, build)
