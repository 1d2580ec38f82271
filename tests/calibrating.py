"""calibrating: a graph that is too sure of itself, its texts, and what is calibrated of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
from onnx import numpy_helper

from lmspec import stage
from lmspec.formats import documents, graph
from lmspec.methods import bytepair, reading
from lmspec.specs.calibrated import CalibratedSpec
from lmspec.specs.numerics import Machine
from lmspec.specs.scores import ScoresSpec
from stages import calibrated, scores
from tests import bundles, miniature
from tests.test_training import NUMERICS

LABELS = tuple(bundles.LABELS)
CLEAN = {"fix_unicode": True, "unescape_html": True}
SURE = 3.0  # by which the logits are too large
ABSTAIN: Mapping[str, Any] = {"coverage": 0.9, "by": "all"}
SPEC: Mapping[str, Any] = {
    "of": "exported.a",
    "on": ["splits.a"],
    "method": {"kind": "temperature"},
    "abstain": ABSTAIN,
}
SCORES: Mapping[str, Any] = {
    "of": "calibrated.a",
    "on": ["splits.a"],
    "batch_size": 1,
    "calibration_bins": 15,
    "accepted_overlap": [],
    "groups": {
        "positive": "good",
        "by": [{"kind": "column", "name": "tables", "column": "table"}],
        "draws": 100,
    },
}


def texts(number: int) -> list[str]:
    """Different ones, some of them longer than what is read at once."""
    base = [text for _, text, _ in miniature.sentences("")]
    return [
        " ".join([base[i % len(base)], str(i), *["once more and again"] * (4 * (i % 9 == 0))])
        for i in range(number)
    ]


def make(root: Path, rows: int = 1200) -> dict[str, Path]:
    """Folders of a graph whose labels are drawn from its own probabilities before they were made
    surer, and of splits with a dev and a test split."""
    tokenizer = bytepair.train([text for _, text, _ in miniature.sentences("")], 300, 32)
    model = bundles.drawn(tokenizer.get_vocab_size())
    (table,) = (one for one in model.graph.initializer if one.name == "table")
    own = numpy_helper.to_array(table) * 0.8
    folders = {"exported.a": root / "exported", "splits.a": root / "splits"}
    honest = root / "honest"
    for folder, by in ((honest, 1.0), (folders["exported.a"], SURE)):
        folder.mkdir(parents=True)
        scaled = onnx.ModelProto()
        scaled.CopyFrom(model)
        next(one for one in scaled.graph.initializer if one.name == "table").CopyFrom(
            numpy_helper.from_array((own * by).astype(np.float32), "table")
        )
        about = {"labels": list(LABELS), "pad_id": 0, "masks": ["full"]}
        about |= {"long_texts": "windows", "clean": CLEAN}
        graph.write(scaled, tokenizer, about, folder)
    read = graph.read(honest, 1)
    words = texts(rows)
    shares = reading.predicted(read.forward, read.reader.read(words), 0, 1)
    draw = np.random.default_rng(5).random(rows)
    drawn = (draw[:, None] > shares.cumsum(1)).sum(1).clip(max=len(LABELS) - 1)
    write_splits(words, drawn, folders["splits.a"])
    return folders


def write_splits(words: list[str], truth: Any, folder: Path) -> None:
    """Every other text is of the dev split."""
    folder.mkdir(parents=True)
    rows = [
        {
            "id": f"t{i:05}",
            "text": text,
            "label": LABELS[truth[i]],
            "group": None,
            "table": ("movies", "products")[i // 2 % 2],
        }
        for i, text in enumerate(words)
    ]
    for first, part in enumerate(("dev", "test")):
        frame = pl.DataFrame(rows[first::2], schema=documents.DOCUMENT)
        documents.write(frame, folder / f"{part}.parquet")
        documents.write_ids(frame["id"].to_list(), folder, part)
    documents.write_labels(LABELS, folder)
    documents.write_counts(
        {"documents": len(rows), "rejected": {}, "contradictions": {"texts": 0}}, folder
    )


def needs(folders: Mapping[str, Path]) -> stage.Needs:
    return stage.Needs(folders, NUMERICS, Machine(device="cpu"))


def build(out: Path, folders: Mapping[str, Path], **changes: Any) -> stage.Report:
    """What the stage reports of a spec with some fields changed."""
    out.mkdir(parents=True)
    spec = CalibratedSpec.model_validate({**SPEC, **changes})
    return calibrated.build(spec, needs(folders), out)


def score(out: Path, folders: Mapping[str, Path]) -> stage.Report:
    """Scores of `calibrated.a`."""
    out.mkdir(parents=True)
    return scores.build(ScoresSpec.model_validate(SCORES), needs(folders), out)
