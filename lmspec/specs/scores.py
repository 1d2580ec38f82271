"""scores: what any model or graph gets right on the test splits of any splits."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks import scores as checks

MODELS = ("model", "student", "updated")
GRAPHS = ("exported", "quantized")


def format_of(ref: Ref) -> str:
    """The module that reads a model or a graph: scoring a graph needs no torch, and is not rerun by its readers."""
    return "lmspec.formats.checkpoint" if ref.noun in MODELS else "lmspec.formats.graph"


class ScoresSpec(Artifact):
    """Metrics per split and table, a confusion table, and the outcome of every example (a paired test needs it)."""

    noun: ClassVar[str] = "scores"
    numerics: ClassVar[bool] = True
    metrics: ClassVar[bool] = True
    reports: ClassVar[tuple[str, ...]] = ("confusion", "predictions")
    holds = (checks.each_splits_once,)
    of: Annotated[Ref, To(MODELS + GRAPHS)] = Field(description="what is scored")
    on: tuple[Annotated[Ref, To(("splits",))], ...] = Field(
        strict=False, min_length=1, description="test splits to score it on"
    )
    batch_size: int = Field(
        ge=1,
        le=65536,
        description="texts of similar length scored together; with int8 it decides bits",
    )
    calibration_bins: int = Field(
        ge=2, le=1000, description="equal-width bins of the expected calibration error"
    )

    def modules(self) -> tuple[str, ...]:
        return (format_of(self.of),)

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None
