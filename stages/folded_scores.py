"""scores of folds: every row of the splits, answered by the model that has not seen it.

folds, splits -> predictions.parquet. stages/scores.py begins it.
"""

import importlib
from pathlib import Path

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, outoffold
from lmspec.formats.outoffold import OutOfFold
from lmspec.methods import majority
from lmspec.methods.splitting import SPLITS
from lmspec.specs.scores import ScoresSpec
from stages import scores


def build(spec: ScoresSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Metrics and predictions of the rows of the folds, as of a test split."""
    assert spec.calibration_bins is not None  # one_way_to_score
    answers = outoffold.read(needs[spec.of])
    (name,) = spec.on
    frame = rows_of(needs[name], answers, f"scores, of {spec.of}")
    truth = np.asarray([answers.labels.index(label) for label in frame["label"]], np.int64)
    probability, labels = answers.probabilities, answers.labels
    table = scores.predictions(name.name, frame, truth, probability, labels)
    result = scores.measured(truth, frame["table"], probability, labels, spec.calibration_bins)
    result |= answers.coverage
    if spec.groups is not None:
        grouped = importlib.import_module(scores.GROUPED)
        result["groups"] = grouped.measured(spec.groups, table, labels, needs.bits.seed)
    columns = table["label"].to_list(), table["predicted"].to_list()
    result |= scores.counted(labels, *columns) | {"overlap": 0}
    warnings = majority.remarks((spec.of, name.name), labels, *columns)
    return scores.written(spec, needs, {name.name: result}, [table], [*warnings], labels, out)


def rows_of(splits: Path, answers: OutOfFold, place: str) -> pl.DataFrame:
    """The rows that the folds have, in their order. Raises LmspecError if the splits lack one."""
    frame = pl.concat([documents.read_split(splits, split) for split in SPLITS])
    frame = frame.filter(pl.col("id").is_in(answers.ids)).sort("id")
    if tuple(frame["id"]) != answers.ids:
        found = f"{len(answers.ids) - frame.height:,} of its rows are not in {splits}"
        raise LmspecError(place, found, "score it on the splits that its model is trained on")
    return frame
