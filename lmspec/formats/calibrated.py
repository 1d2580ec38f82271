"""calibrated: what a calibrated graph has beside any other: thresholds, and its logits before."""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from lmspec.formats import graph
from lmspec.methods import calibrating
from lmspec.methods.reading import Forward

THRESHOLDS = "thresholds"  # of lmspec.json: label -> probability from which it is kept


def thresholds(folder: Path) -> dict[str, float] | None:
    """Label -> probability from which it may be the true one; None if it is never unsure."""
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    found: dict[str, float] | None = about.get(THRESHOLDS)
    return found


def uncalibrated(folder: Path, threads: int) -> Forward | None:
    """The logits before they were calibrated; None if they were not."""
    before = calibrating.undone(onnx.load(folder / "model.onnx"))
    if before is None:
        return None
    session = graph.session(before.SerializeToString(), threads)

    def forward(
        input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        feeds = dict(zip(graph.INPUTS, (input_ids, attention_mask), strict=True))
        return np.asarray(session.run(None, feeds)[0], np.float32)

    return forward
