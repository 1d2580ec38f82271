"""splits: a corpus cut into three sides.   corpus -> <side>.parquet, <side>.ids, labels.json"""

from pathlib import Path

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import documents
from lmspec.methods import duplicates, splitting
from lmspec.specs.splits import SplitsSpec


def build(spec: SplitsSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Groups and near-duplicates stay on one side; labels and sources are in proportion on each."""
    frame = documents.read(needs[spec.of] / "documents.parquet")
    pairs = (
        duplicates.near_pairs(frame["text"].to_list(), spec.keep_together)
        if spec.keep_together
        else ()
    )
    sides = splitting.assign(
        splitting.components(frame.height, frame["group"].to_list(), pairs),
        frame["id"].to_list(),
        list(zip(frame["label"], frame["source"], strict=True)),
        (spec.train, spec.dev, spec.test),
        spec.seed,
    )
    metrics = {}
    labels = documents.read_labels(needs[spec.of])
    for side in splitting.SIDES:
        part = frame.filter(pl.Series(sides) == side)
        if part.is_empty() and getattr(spec, side) > 0:
            found = f"the {side} side is empty: {frame.height} documents are too few for {getattr(spec, side):g} of them"
            raise LmspecError(
                f"splits, of {spec.of}",
                found,
                "give it a larger fraction, or the corpus more documents",
            )
        documents.write(part, out / f"{side}.parquet")
        documents.write_ids(part, out / f"{side}.ids")
        absent = sorted(set(labels) - set(part["label"])) if getattr(spec, side) > 0 else []
        if absent:
            stage.say(f"the {side} side has no row of {some(absent)}")
        metrics[side] = {
            "documents": part.height,
            "label": dict(sorted(part["label"].value_counts().iter_rows())),
        }
    documents.write_labels(labels, out)
    return stage.Report(metrics)


if __name__ == "__main__":
    stage.run("splits", SplitsSpec, build)
