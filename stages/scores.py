"""scores: what a model or graph gets right.   model or graph, splits -> predictions.parquet"""

import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.formats import documents, examples
from lmspec.methods import metrics, predicting
from lmspec.methods.metrics import Floats
from lmspec.specs.scores import ScoresSpec

DIGITS = 6


def build(spec: ScoresSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Score the test split of every splits; git keeps each prediction, since a paired test needs
    it."""
    (module,) = spec.modules()
    model = importlib.import_module(module).predictor(needs[spec.of], needs.bits, needs.machine)
    results: dict[str, Any] = {}
    parts = []
    for name in spec.on:
        test = examples.read(needs[name], "test", model.tokenizer, model.labels)
        probability = predicting.probabilities(
            predicting.logits(model.forward, test.ids, model.pad_id, spec.batch_size)
        )
        results[name.name] = measured(test, probability, model.labels, spec.calibration_bins)
        parts.append(predictions(name.name, test, probability, model.labels))
    table = pl.concat(parts)
    documents.write(table, out / "predictions.parquet")
    (out / "metrics.json").write_text(
        json.dumps({"of": spec.of, "metrics": results}, indent=2) + "\n"
    )
    rows = table.drop("text").rows(named=True)
    return stage.Report(results, {"confusion": confusion(rows, model.labels), "predictions": rows})


def measured(
    test: examples.Examples, probability: Floats, labels: tuple[str, ...], bins: int
) -> dict[str, Any]:
    """Metrics of one test split, and of each of its tables where there are several."""
    result = metrics.full(test.truth, probability, labels, bins)
    tables = sorted(set(test.documents["table"]))
    if len(tables) > 1:
        at = {table: np.flatnonzero(test.documents["table"] == table) for table in tables}
        result["table"] = {
            s: metrics.full(test.truth[rows], probability[rows], labels, bins)
            for s, rows in at.items()
        }
    return result


def predictions(
    dataset: str, test: examples.Examples, probability: Floats, labels: tuple[str, ...]
) -> pl.DataFrame:
    """One row an example. confidence: of the predicted label; label_probability: of the true one; 6
    digits."""
    rows = np.arange(len(test.truth))
    return test.documents.select(
        pl.lit(dataset).alias("dataset"),
        "id",
        "table",
        "group",
        "text",
        "label",
        pl.Series("predicted", [labels[i] for i in probability.argmax(1)]),
        pl.Series("confidence", probability.max(1)).round(DIGITS),
        pl.Series("label_probability", probability[rows, test.truth]).round(DIGITS),
    )


def confusion(rows: list[dict[str, Any]], labels: tuple[str, ...]) -> list[stage.Row]:
    """How often each label was predicted for each, per dataset; pairs that never occur too."""
    count = Counter((row["dataset"], row["label"], row["predicted"]) for row in rows)
    splits = dict.fromkeys(row["dataset"] for row in rows)
    return [
        {
            "dataset": dataset,
            "label": label,
            "predicted": predicted,
            "examples": count[dataset, label, predicted],
        }
        for dataset in splits
        for label in labels
        for predicted in labels
    ]


STAGE = stage.Stage(ScoresSpec, build)
