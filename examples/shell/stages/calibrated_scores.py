"""calibrated_scores: what scores of a calibrated graph have beside others: logits before it was,
and texts of which it is unsure.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.formats import calibrated
from lmspec.formats.examples import Examples
from lmspec.methods import abstaining, metrics, reading, shares
from lmspec.methods.metrics import Floats
from lmspec.methods.predicting import Predictor
from lmspec.specs.scores import ABSTENTION, RISK_TABLE, ScoresSpec

STEPS = 20  # of the shares of texts that are answered, in the table of risks
DIGITS = 6
UNSURE, KEPT = "unsure", "kept"  # columns of predictions: is it unsure; is the true label kept


class Scorer:
    """What is added to the scores of each dataset."""

    def __init__(self, spec: ScoresSpec, needs: stage.Needs) -> None:
        assert spec.calibration_bins is not None
        self._bins, self._batch_size = spec.calibration_bins, spec.batch_size
        self._thresholds = calibrated.thresholds(needs[spec.of])
        self._before = calibrated.uncalibrated(needs[spec.of], needs.bits.threads)
        self._risks: list[stage.Row] = []

    def add(
        self,
        result: dict[str, Any],
        parts: list[pl.DataFrame],
        test: Examples,
        probability: Floats,
        model: Predictor,
    ) -> None:
        """Metrics of a dataset to `result`; columns to the last of `parts`, its predictions."""
        if self._before is not None:
            before = reading.predicted(self._before, test.windows, model.pad_id, self._batch_size)
            result["uncalibrated"] = {
                "log_loss": metrics.log_loss(test.truth, before),
                "expected_calibration_error": metrics.expected_calibration_error(
                    before.max(1), before.argmax(1) == test.truth, self._bins
                ),
            }
        frame = parts[-1]
        self._risks += risks(frame["dataset"][0], probability.max(1), right(frame))
        if self._thresholds is None:
            return
        answers = [dict(zip(model.labels, row, strict=True)) for row in probability.tolist()]
        unsure = [abstaining.is_unsure(answer, self._thresholds) for answer in answers]
        own = probability[np.arange(len(test.truth)), test.truth]
        needed = np.array([self._thresholds[label] for label in model.labels])[test.truth]
        frame = frame.with_columns(pl.Series(UNSURE, unsure), pl.Series(KEPT, own >= needed))
        parts[-1] = frame
        result["abstention"] = abstention(frame)
        for table, values in result.get("table", {}).items():
            values["abstention"] = abstention(frame.filter(pl.col("table") == table))

    def tables(self) -> dict[str, list[stage.Row]]:
        """For git."""
        return {RISK_TABLE.name: self._risks}


def right(frame: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,) is the most probable label the true one?"""
    return (frame["label"] == frame["predicted"]).to_numpy()


def abstention(frame: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Shares of texts with intervals; null of the accuracy if it is unsure of all."""
    unsure, hits = frame[UNSURE].to_numpy(), right(frame)
    groups = shares.documents(frame["group"].to_list())
    counted = (
        (frame[KEPT].to_numpy(), groups),
        (unsure, groups),
        (hits[~unsure], groups[~unsure]),
    )
    return {name: shares.share(*each) for name, each in zip(ABSTENTION, counted, strict=True)}


def risks(dataset: str, confidence: Floats, hits: Any) -> Iterator[stage.Row]:
    """The share of wrong answers if only those of highest confidence are given, in twentieths.

    Source: El-Yaniv & Wiener 2010, JMLR 11.
    """
    wrong = ~hits[np.argsort(-confidence, kind="stable")]
    for step in range(1, STEPS + 1):
        number = max(1, round(len(wrong) * step / STEPS))
        risk = round(float(wrong[:number].mean()), DIGITS)
        yield {"dataset": dataset, "answered": step / STEPS, "texts": number, "risk": risk}
