"""suspects: probably wrong labels.   corpus or splits (, sources) -> rows.jsonl, labels.json"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, worklist
from lmspec.methods import confident, folds, splitting
from lmspec.specs.suspects import SuspectsSpec
from stages import features

DIGITS = 4  # of the table in git


def build(spec: SuspectsSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Judge each row by the others, and list those whose labels are the least probable."""
    labels = documents.read_labels(needs[spec.of])
    frame, too_few = judged(spec, needs, labels)
    truth = np.asarray([labels.index(label) for label in frame["label"]], np.int64)
    units = splitting.components(frame.height, frame["group"].to_list(), [])
    if len(units) < spec.folds:
        found = f"there are {len(units)} groups of rows, too few for {spec.folds} folds"
        raise LmspecError(f"suspects, of {spec.of}", found, "lower `folds`")
    fold = folds.assigned(units, truth, spec.folds, spec.seed)
    read = features.of(spec.features, frame["text"].to_list(), needs)
    probabilities = folds.out_of_fold(
        read, truth, fold, len(labels), spec.features.inverse_regularization
    )
    ranked = np.argsort(confident.confidence(probabilities, truth), kind="stable")[: spec.rows]
    suggested = confident.suggested(probabilities, truth)
    sure = confident.confident(probabilities, truth)
    mistaken = (sure >= 0) & (sure != truth)
    listed = frame[ranked].rows(named=True)
    worklist.write(
        [
            worklist.Row(row["id"], row["text"], row["table"], row["label"], labels[suggested[i]])
            for row, i in zip(listed, ranked, strict=True)
        ],
        labels,
        out,
    )
    rows = [
        {
            "rank": rank,
            "id": row["id"],
            "table": row["table"],
            "split": row["split"],
            "label": row["label"],
            "suggested": labels[suggested[i]],
            "p_label": round(float(probabilities[i, truth[i]]), DIGITS),
            "p_suggested": round(float(probabilities[i, suggested[i]]), DIGITS),
            "confident": bool(mistaken[i]),
        }
        for rank, (row, i) in enumerate(zip(listed, ranked, strict=True), start=1)
    ]
    report = metrics(probabilities, truth, labels) | {"too_few": too_few}
    stage.say(
        f"{len(truth):,} rows judged, {report['accuracy']:.1%} of them as labelled; by what the "
        f"classifier is sure of, {report['error_rate']:.1%} of the labels are wrong, "
        f"{report['confident']:,} rows probably"
    )
    return stage.Report(report, {"rows": rows})


def judged(spec: SuspectsSpec, needs: stage.Needs, labels: list[str]) -> tuple[pl.DataFrame, int]:
    """The rows to judge, with their split, and how many are not judged.

    A row is not if no other one has its label. Raises LmspecError if less than two labels are left.
    """
    folder, columns = needs[spec.of], ["id", "text", "label", "group", "table"]
    if spec.parts is None:
        whole = documents.read(folder / "documents.parquet", columns)
        frame = whole.with_columns(split=pl.lit(None, pl.String))
    else:
        parts = [
            documents.read_split(folder, part, columns).with_columns(split=pl.lit(part))
            for part in spec.parts
        ]
        frame = pl.concat(parts)
    counts = dict(frame["label"].drop_nulls().value_counts().iter_rows())
    kept = frame.filter(
        pl.Series([counts.get(label, 0) > 1 for label in frame["label"]], dtype=pl.Boolean)
    )
    if kept["label"].n_unique() < 2:
        found = f"{kept['label'].n_unique()} of the labels {labels} have two rows or more"
        raise LmspecError(f"suspects, of {spec.of}", found, "give rows of at least two labels")
    return kept, frame.height - kept.height


def metrics(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], labels: list[str]
) -> dict[str, object]:
    """How many rows are probably mistaken, of all and of each label."""
    sure = confident.confident(probabilities, truth)
    joint = confident.joint(probabilities, truth)
    given = joint.sum(1)
    wrong = given - np.diagonal(joint)
    return {
        "judged": len(truth),
        "accuracy": float((probabilities.argmax(1) == truth).mean()),
        "confident": int(((sure >= 0) & (sure != truth)).sum()),
        "error_rate": float(wrong.sum()),
        "label": {
            label: {"error_rate": float(wrong[i] / given[i])}
            for i, label in enumerate(labels)
            if given[i] > 0
        },
    }


STAGE = stage.Stage(SuspectsSpec, build)
