"""folds: every row answered by a model without it.   splits (, sources) -> rows.parquet"""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, examples, foldanswers, outoffold
from lmspec.formats.foldanswers import FoldAnswers
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
from lmspec.methods.resume import Resume
from lmspec.specs.checks import folds as checks
from lmspec.specs.folds import FoldsSpec
from lmspec.specs.model import ModelSpec
from lmspec.specs.training import descent, head
from lmspec.training import loop
from lmspec.training.supervision import EVALUATION_BATCH
from stages import model

MODEL: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)
DIGITS = 6


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
        answer = kept(needs, number) or answer_of(whole, needs, frame, part, number)
        answered.append(answer)
        table.append(row_of(number, part, rows.truth[part.held_out], answer))
    order = np.concatenate([part.held_out for part in parts])
    every = np.concatenate([np.asarray(each.probabilities) for each in answered])
    probabilities = every[np.argsort(order)]
    read = coverage.metrics(together(answered))
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


def place_of(needs: stage.Needs, number: int) -> Resume | None:
    """Where the training of a fold, and then its answers, outlive a kill of the stage."""
    return needs.resume and dataclasses.replace(
        needs.resume, folder=needs.resume.folder / f"fold-{number}"
    )


def kept(needs: stage.Needs, number: int) -> FoldAnswers | None:
    """The answers of a fold whose model was trained before the stage was killed."""
    place = place_of(needs, number)
    if place is None:
        return None
    try:
        found = foldanswers.read(place.folder)
    except (OSError, ValueError) as error:
        stage.say(f"fold {number}: {error}, so its model is trained again")
        shutil.rmtree(place.folder, ignore_errors=True)
        return None
    if found is not None:
        stage.say(f"fold {number}: kept from before")
    return found


def keep(answers: FoldAnswers, needs: stage.Needs, number: int) -> None:
    """Keep them in place of the training's checkpoints; if that fails, a warning says why."""
    place = place_of(needs, number)
    if place is None:
        return
    try:
        if not place.unchanged():
            stage.say(f"fold {number} is not kept: an input has changed since the stage began")
            return
        foldanswers.write(answers, place.folder)
        for path in place.folder.glob("seed-*"):
            shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        stage.say(f"fold {number} is not kept: {error.strerror or error}")


def answer_of(
    spec: ModelSpec, needs: stage.Needs, frame: pl.DataFrame, part: Fold, number: int
) -> FoldAnswers:
    """What a model that is trained without the fold answers to it."""
    with tempfile.TemporaryDirectory() as scratch:
        splits = written(Path(scratch), needs[spec.on], frame, part)
        own = dataclasses.replace(
            needs,
            folders={**needs.folders, spec.on: splits},
            # one process: the trainings are many, and small
            numerics=needs.bits.model_copy(update={"world": None, "sharding": None}),
            resume=place_of(needs, number),
        )
        network, watched = trained(spec, own, number, Path(scratch))
        held_out = examples.read(splits, "test", network.reader, network.labels)
        forward = torchrun.forward(network.model.eval())
        probabilities = reading.predicted(
            forward, held_out.windows, network.pad_id, EVALUATION_BATCH
        )
    windows = held_out.windows
    unknown = None if windows.unknown is None else windows.unknown.tolist()
    answers = FoldAnswers(
        probabilities.tolist(), windows.tokens.tolist(), windows.unread.tolist(), unknown, watched
    )
    keep(answers, needs, number)
    return answers


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
        solved, _, _ = model.solution(spec, needs, needs.resume)
        return solved.model, len(solved.dev.truth)
    recipe = descent(spec.training).model_copy(update={"seeds": 1})
    network = model.prepared(spec, needs, needs.bits)
    task = dataclasses.replace(network.task, curve=f"fold-{number}")
    loop.fit(network.model.model, task, recipe, needs.bits, needs.resume)
    if network.adapted:
        model.merged(network, scratch)
    return network.model, len(network.dev.truth)


def row_of(
    number: int, part: Fold, truth: crossvalidating.Ints, answer: FoldAnswers
) -> dict[str, Any]:
    """A row of the table: what the fold's model learned from, and how right it is."""
    probabilities = np.asarray(answer.probabilities)
    hits = probabilities.argmax(1) == truth
    return {
        "fold": number,
        "rows": len(truth),
        "training_rows": len(part.train),
        "dev_rows": answer.dev_rows,
        "accuracy": round(float(hits.mean()), DIGITS),
        "log_loss": round(metrics.log_loss(truth, probabilities), DIGITS),
    }


def together(parts: Sequence[FoldAnswers]) -> Windows:
    """The windows of all folds, without their tokens, of which coverage.py counts none."""

    def all_of(columns: Sequence[list[int]]) -> crossvalidating.Ints:
        return np.concatenate([np.asarray(column, np.int64) for column in columns])

    known = [part.unknown for part in parts if part.unknown is not None]
    tokens, unread = all_of([part.tokens for part in parts]), all_of([p.unread for p in parts])
    return Windows((), np.empty(0, np.int64), tokens, unread, all_of(known) if known else None)


STAGE = stage.Stage(FoldsSpec, build)
