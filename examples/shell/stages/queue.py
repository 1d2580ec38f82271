"""queue: the rows to label next.   corpus, splits (, sources) -> rows.jsonl, labels.json"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, worklist
from lmspec.methods import folds, querying
from lmspec.specs.names import PARTS
from lmspec.specs.queue import QueueSpec
from stages import features

DIGITS = 4  # of the table in git


def build(spec: QueueSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Fit a classifier to what has labels, and choose rows of the pool by its probabilities."""
    labels = documents.read_labels(needs[spec.of])
    if len(labels) < 2:
        raise LmspecError(f"queue, of {spec.of}", "it has no labels", "name what has some")
    labelled, pool = training_rows(spec, needs), unlabelled(spec, needs)
    if pool.is_empty():
        found = f"every text of {spec.pool} is in {spec.of} already"
        remedy = "add texts to the pool, or remove the queue"
        raise LmspecError(f"queue, from {spec.pool}", found, remedy)
    probabilities: NDArray[np.float64] | None = None
    if spec.features is None or spec.strategy == "random":
        chosen = querying.shuffled(pool.height, spec.n, spec.seed)
    else:
        truth = np.asarray([labels.index(label) for label in labelled["label"]], np.int64)
        if len(np.unique(truth)) < 2:
            found = f"its {len(truth)} training rows have {len(np.unique(truth))} labels"
            raise LmspecError(
                f"queue, of {spec.of}", found, "label some rows in random order first"
            )
        texts = [*labelled["text"], *pool["text"]]
        read = features.of(spec.features, texts, needs)
        classify = folds.fitted(
            read[: len(truth)], truth, spec.features.inverse_regularization, len(labels)
        )
        rows = read[len(truth) :]
        probabilities = classify(rows)
        chosen = querying.order(spec.strategy, probabilities, rows, spec.n, spec.seed)
    return report(labels, len(labelled), pool, chosen, probabilities, out)


def training_rows(spec: QueueSpec, needs: stage.Needs) -> pl.DataFrame:
    """Rows with labels, of splits those of train."""
    folder, columns = needs[spec.of], ["text", "label"]
    if spec.of.noun == "corpus":
        frame = documents.read(folder / "documents.parquet", columns)
    else:
        frame = documents.read_split(folder, "train", columns)
    return frame.drop_nulls("label")


def unlabelled(spec: QueueSpec, needs: stage.Needs) -> pl.DataFrame:
    """Rows of the pool whose text has no label yet, in any split."""
    known = {
        name for part in PARTS[spec.of.noun] for name in documents.read_ids(needs[spec.of], part)
    }
    frame = documents.read(needs[spec.pool] / "documents.parquet", ["id", "text", "table", "label"])
    common = documents.read_ids(needs[spec.pool], "documents")
    return frame.filter(pl.Series([name not in known for name in common], dtype=pl.Boolean))


def report(
    labels: list[str],
    labelled: int,
    pool: pl.DataFrame,
    chosen: NDArray[np.int64],
    probabilities: NDArray[np.float64] | None,
    out: Path,
) -> stage.Report:
    """Write the rows, and what git keeps of them."""
    listed = pool[chosen].rows(named=True)
    counts: dict[str, object] = {"pool": pool.height, "labelled": labelled, "rows": len(listed)}
    suggested: list[str | None] = [None] * len(listed)
    margins: list[float | None] = [None] * len(listed)
    if probabilities is not None:
        suggested = [labels[i] for i in probabilities[chosen].argmax(1)]
        margins = [round(float(m), DIGITS) for m in querying.margins(probabilities[chosen])]
        counts["mean_margin"] = float(querying.margins(probabilities[chosen]).mean())
    rows = [
        worklist.Row(row["id"], row["text"], row["table"], row["label"], label)
        for row, label in zip(listed, suggested, strict=True)
    ]
    worklist.write(rows, labels, out)
    stage.say(f"{len(rows):,} of {pool.height:,} rows without a label, by {labelled:,} with one")
    table = [
        {
            "rank": rank,
            "id": row.id,
            "table": row.table,
            "suggested": row.suggested,
            "margin": margin,
        }
        for rank, (row, margin) in enumerate(zip(rows, margins, strict=True), start=1)
    ]
    return stage.Report(counts, {"rows": table})


STAGE = stage.Stage(QueueSpec, build)
