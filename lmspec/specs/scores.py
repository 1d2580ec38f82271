"""scores: how often any model or graph is right on the test splits of any datasets."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import scores as checks
from lmspec.specs.names import MetricPath
from lmspec.specs.results import COVERAGE, HEADLINES, Metric, Table

MODELS = ("model", "student", "updated")
GRAPHS = ("exported", "quantized")
SCORED = (
    *(Metric(name, way, way == "higher", "predictions") for name, way in HEADLINES.items()),
    Metric("balanced_accuracy", "higher", True, "predictions"),
    Metric("expected_calibration_error", "lower", True, "predictions"),
    Metric("examples"),
    Metric("f1.{label}", "higher", True, "predictions"),
)


def format_of(ref: Ref) -> str:
    """The module that reads a model or a graph.

    Scoring a graph needs no torch, and no edit of the readers of models reruns it.
    """
    return "lmspec.formats.checkpoint" if ref.noun in MODELS else "lmspec.formats.graph"


class AcceptedOverlap(Spec):
    """Test examples that the model has seen, and that may count all the same."""

    of: Annotated[Ref, To(("splits", "corpus"))] = Field(
        description="data that the model was trained, stopped early or calibrated on"
    )
    at_most: int = Field(
        ge=1, le=10**9, description="this many test examples of all of `on`; more fail the build"
    )
    reason: str = Field(
        min_length=1, max_length=2000, description="why they may count; the model card states it"
    )


class ScoresSpec(Artifact):
    """Metrics per dataset and table, a confusion table, and the prediction for each example.

    A paired test of two commits needs the predictions. The build fails if the model, or what it
    was made from, was trained, stopped early or calibrated on a test example.
    """

    noun = "scores"
    numerics = True
    final = True
    origin = "of"
    metrics = (
        *(
            dataclasses.replace(metric, path=f"{part}.{metric.path}")
            for part in ("{dataset}", "{dataset}.table.{table}")
            for metric in SCORED
        ),
        Metric("{dataset}.overlap", "lower", evidence="count"),
        Metric("{dataset}.majority.accuracy", share=True),
        Metric("{dataset}.predicted_labels"),
        Metric("{dataset}.empty_labels"),
        *(dataclasses.replace(metric, path=f"{{dataset}}.{metric.path}") for metric in COVERAGE),
    )
    reports = (
        Table(
            "confusion",
            {
                "x": "examples",
                "y": "predicted",
                "template": "bar_horizontal",
                "title": "predicted",
            },
        ),
        Table(
            "predictions",
            {"x": "label", "y": "predicted", "template": "confusion", "title": "confusion"},
        ),
    )
    holds = (checks.each_splits_once, checks.each_overlap_once)
    of: Annotated[Ref, To(MODELS + GRAPHS)] = Field(description="the model or graph to score")
    on: tuple[Annotated[Ref, To(("splits",), reads=("test",))], ...] = Field(
        strict=False, min_length=1, description="splits whose test split it is scored on"
    )
    batch_size: int = Field(
        ge=1,
        le=65536,
        description="texts of similar length scored together; with int8 it changes the bits",
    )
    calibration_bins: int = Field(
        ge=2, le=1000, description="equal-width bins of the expected calibration error"
    )
    accepted_overlap: tuple[AcceptedOverlap, ...] = Field(
        strict=False, description="test examples that the model has seen, and that may count"
    )

    def modules(self) -> tuple[str, ...]:
        return (format_of(self.of),)

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None

    def examined(self) -> Ref | None:
        return self.of

    def headlines(self) -> Mapping[str, Mapping[str, MetricPath]]:
        return {str(ref.name): {name: (ref.name, name) for name in HEADLINES} for ref in self.on}
