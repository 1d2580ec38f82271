"""splits: a corpus in train, dev and test.   corpus -> <split>.parquet, <split>.ids, labels.json"""

from pathlib import Path

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import documents
from lmspec.methods import duplicates, splitting
from lmspec.specs.splits import SplitsSpec


def build(spec: SplitsSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Groups and near-duplicates stay on one split; labels and tables are in proportion on each."""
    frame = documents.read(needs[spec.of] / "documents.parquet")
    ids = pl.Series(documents.read_ids(needs[spec.of], "documents"), dtype=pl.String)
    pairs = [*duplicates.equal_pairs(ids.to_list())]
    if spec.keep_together:
        pairs += duplicates.near_pairs(frame["text"].to_list(), spec.keep_together)
    sides = splitting.assign(
        splitting.components(frame.height, frame["group"].to_list(), pairs),
        frame["id"].to_list(),
        list(zip(frame["label"], frame["table"], strict=True)),
        (spec.train, spec.dev, spec.test),
        spec.seed,
    )
    metrics = {}
    labels = documents.read_labels(needs[spec.of])
    for split in splitting.SPLITS:
        chosen = pl.Series(sides) == split
        part = frame.filter(chosen)
        if part.is_empty() and getattr(spec, split) > 0:
            found = (
                f"the {split} split is empty: {frame.height} documents are too few "
                f"for {getattr(spec, split):g} of them"
            )
            raise LmspecError(
                f"splits, of {spec.of}",
                found,
                "give it a larger fraction, or the corpus more documents",
            )
        documents.write(part, out / f"{split}.parquet")
        documents.write_ids(ids.filter(chosen), out, split)
        absent = sorted(set(labels) - set(part["label"])) if getattr(spec, split) > 0 else []
        if absent:
            rows = [f"{label!r} ({(frame['label'] == label).sum()} in all)" for label in absent]
            stage.say(f"warning: too small for the {split} split, which has none: {some(rows)}")
        counts = dict(part["label"].value_counts().iter_rows())
        named = labels if getattr(spec, split) > 0 else ()
        metrics[split] = {
            "documents": part.height,
            "label": {label: counts.get(label, 0) for label in sorted(named)},
            "empty_labels": len(absent),
        }
    documents.write_labels(labels, out)
    documents.write_corpus(spec.of, out)
    return stage.Report(metrics)


STAGE = stage.Stage(SplitsSpec, build)
