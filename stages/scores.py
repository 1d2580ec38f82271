"""scores: what a model or graph gets right.   model or graph, splits -> predictions.parquet"""

import dataclasses
import importlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, examples
from lmspec.methods import coverage, majority, metrics, overlap, reading, redacting
from lmspec.methods.metrics import Floats
from lmspec.methods.reading import Ids
from lmspec.specs.scores import FOLDS, ScoresSpec

DIGITS = 6
# by their names: they are in the keys of such scores alone
WRITING, CHOOSING = "stages.writing_scores", "stages.choosing_scores"
CALIBRATED, GROUPED = "stages.calibrated_scores", "stages.grouped_scores"
FOLDED = "stages.folded_scores"


def build(spec: ScoresSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Score the test split of every splits, unless the model has seen a test example."""
    overlaps = seen_examples(spec, needs)
    require_accepted(overlaps, spec, needs)
    if spec.choices is not None:
        choosing = importlib.import_module(CHOOSING)
        chosen: stage.Report = choosing.build(spec, spec.choices, needs, overlaps, out)
        return chosen
    if spec.generation is not None:
        writing = importlib.import_module(WRITING)
        report: stage.Report = writing.build(spec, spec.generation, needs, overlaps, out)
        return report
    if spec.of.noun == FOLDS:
        folded: stage.Report = importlib.import_module(FOLDED).build(spec, needs, out)
        return folded
    return predicted(spec, needs, overlaps, out)


def predicted(
    spec: ScoresSpec, needs: stage.Needs, overlaps: list[overlap.Overlap], out: Path
) -> stage.Report:
    """Predict labels. Git keeps each prediction, since a paired test needs it."""
    assert spec.calibration_bins is not None  # one_way_to_score
    module, *further = spec.modules()
    calibrated, grouped = (
        importlib.import_module(each) if each in further else None for each in (CALIBRATED, GROUPED)
    )
    calibrated = calibrated and calibrated.Scorer(spec, needs)
    model = importlib.import_module(module).predictor(needs[spec.of], needs.bits, needs.machine)
    results: dict[str, Any] = {}
    parts = []
    warnings: list[str] = []
    for name in spec.on:
        test = examples.read(needs[name], "test", model.reader, model.labels)
        for line in test.described(name.name, model.reader, model.labels):
            stage.say(line)
        probability = reading.predicted(model.forward, test.windows, model.pad_id, spec.batch_size)
        frame = documents.read_split(needs[name], "test")
        table_of, bins = frame["table"], spec.calibration_bins
        result = measured(test.truth, table_of, probability, model.labels, bins)
        result |= coverage.metrics(test.windows)
        mine = [each for each in overlaps if each.dataset == name]
        parts.append(predictions(name.name, frame, test.truth, probability, model.labels))
        if calibrated:
            calibrated.add(result, parts, test, probability, model)
        if grouped:
            seed = needs.bits.seed
            result["groups"] = grouped.measured(spec.groups, parts[-1], frame, model.labels, seed)
        answers = parts[-1]["label"].to_list(), parts[-1]["predicted"].to_list()
        results[name.name] = result | counted(model.labels, *answers)
        results[name.name]["overlap"] = overlap.count(mine)
        warnings += majority.remarks((spec.of, name.name), model.labels, *answers)
    report = written(spec, needs, results, parts, warnings, model.labels, out)
    further = calibrated.tables() if calibrated else {}
    return dataclasses.replace(report, tables={**report.tables, **further})


def written(
    spec: ScoresSpec,
    needs: stage.Needs,
    results: dict[str, Any],
    parts: Sequence[pl.DataFrame],
    warnings: Sequence[str],
    labels: tuple[str, ...],
    out: Path,
) -> stage.Report:
    """Write predictions and metrics of all datasets; report them with the confused labels."""
    for warning in warnings:
        stage.say(f"warning: {warning}")
    table = pl.concat(parts)
    documents.write(table, out / "predictions.parquet")
    accepted = [each.model_dump() for each in spec.accepted_overlap]
    notes = {"accepted_overlap": accepted, "warnings": list(warnings)}
    data = {str(name.name): documents.read_counts(needs[name]) for name in spec.on}
    summary = {"of": spec.of, "batch_size": spec.batch_size, "metrics": results, "data": data}
    summary |= notes | {"personal_data": personal_data(needs)}
    (out / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    rows = table.drop("text").rows(named=True)
    tables: dict[str, Sequence[stage.Row]] = {
        "confusion": confusion(rows, labels),
        "predictions": rows,
    }
    return stage.Report(results, tables)


def seen_examples(spec: ScoresSpec, needs: stage.Needs) -> list[overlap.Overlap]:
    """Test examples that the model, or what it was made from, has learned from."""
    seen = {
        (data, part): frozenset(documents.read_ids(needs[data], part))
        for data, parts in needs.seen.items()
        for part in parts
    }
    return [
        each
        for name in spec.on
        for each in overlap.of_dataset(name, documents.read_ids(needs[name], "test"), seen)
    ]


def require_accepted(overlaps: list[overlap.Overlap], spec: ScoresSpec, needs: stage.Needs) -> None:
    """Raise LmspecError if the model has seen test examples that the spec does not accept."""
    for each in spec.accepted_overlap:
        if each.of not in needs.seen:
            found = f"{spec.of} has not seen {each.of}"
            remedy = f"remove it: it has seen {' and '.join(needs.seen)}"
            raise LmspecError("scores.accepted_overlap", found, remedy)
    refused = overlap.refused(overlaps, spec.accepted_overlap)
    if not refused:
        return
    first = refused[0]
    texts = documents.read_split(needs[first.dataset], "test")["text"]
    found = "; ".join(
        f"{len(each.examples)} of the {each.size} test texts of {each.dataset} are in the "
        f"{each.part} split of {each.data}"
        for each in refused
    )
    shown = ", ".join(repr(texts[i][:60]) for i in first.examples[:3])
    ways = "; ".join(dict.fromkeys(way_out(each, spec, needs) for each in refused))
    most = {
        data: overlap.count([each for each in overlaps if each.data == data])
        for data in dict.fromkeys(each.data for each in refused)
    }
    accept = ", ".join(f"{{of: {data}, at_most: {n}, reason: ...}}" for data, n in most.items())
    raise LmspecError(
        f"scores, of {spec.of}",
        f"the model has seen test texts: {found}: {shown}",
        f"{ways}; or accept it, and the model card will say so: `accepted_overlap: [{accept}]`",
    )


def way_out(found: overlap.Overlap, spec: ScoresSpec, needs: stage.Needs) -> str:
    """Which corpus to build without the other: that of the later data, so the earlier stays."""
    tested, learned = (
        documents.read_corpus(needs[name]) if name.startswith("splits.") else name
        for name in (found.dataset, found.data)
    )
    if tested == learned:
        return f"score it on {found.data}, or cut {tested} once"
    order = [*spec.on, found.data]
    earlier, later = tested, learned
    if order.index(found.data) < order.index(found.dataset):
        earlier, later = later, earlier
    return f"add {earlier} to `without` of {later}, and run `dvc repro`"


def personal_data(needs: stage.Needs) -> dict[str, dict[str, int]]:
    """Data that the model has seen -> its texts, and in how many each kind of personal data is."""
    found = {}
    for data, parts in needs.seen.items():
        counts = Counter(texts=0)
        for part in parts:
            for text in documents.Texts(needs[data], part):
                counts.update(("texts", *redacting.kinds_in(text)))
        found[data] = {name: counts[name] for name in ("texts", *redacting.KINDS)}
    return found


def measured(
    truth: Ids,
    table_of: pl.Series,
    probability: Floats,
    labels: tuple[str, ...],
    bins: int,
) -> dict[str, Any]:
    """Metrics of one test split, and of each of its tables where there are several."""
    result = metrics.full(truth, probability, labels, bins)
    tables = sorted(set(table_of))
    if len(tables) > 1:
        at = {table: np.flatnonzero(table_of == table) for table in tables}
        result["table"] = {
            s: metrics.full(truth[rows], probability[rows], labels, bins) for s, rows in at.items()
        }
    return result


def counted(labels: tuple[str, ...], truth: list[str], predicted: list[str]) -> dict[str, Any]:
    """What tells a model from a constant answer."""
    return {
        "majority": {"accuracy": majority.most_frequent(truth)[1] / len(truth)},
        "predicted_labels": len(set(predicted)),
        "empty_labels": len(majority.empty(labels, truth)),
    }


def predictions(
    dataset: str, frame: pl.DataFrame, truth: Ids, probability: Floats, labels: tuple[str, ...]
) -> pl.DataFrame:
    """One row an example. confidence: of the predicted label; label_probability: of the true one; 6
    digits."""
    rows = np.arange(len(truth))
    return frame.select(
        pl.lit(dataset).alias("dataset"),
        "id",
        "table",
        "group",
        "text",
        "label",
        pl.Series("predicted", [labels[i] for i in probability.argmax(1)]),
        pl.Series("confidence", probability.max(1)).round(DIGITS),
        pl.Series("label_probability", probability[rows, truth]).round(DIGITS),
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
