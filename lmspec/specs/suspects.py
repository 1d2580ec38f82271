"""suspects: rows whose labels are probably wrong, ranked, for people to look at."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks import suspects as checks
from lmspec.specs.features import Features, modules
from lmspec.specs.results import Metric, Table


class SuspectsSpec(Artifact):
    """By confident learning: each row is judged by a classifier that was fitted to others.

    Source: Northcutt et al. 2021, arXiv:1911.00068.
    """

    noun = "suspects"
    numerics = True
    final = True
    metrics = (
        Metric("judged"),
        Metric("too_few"),
        Metric("accuracy", share=True),
        Metric("confident"),
        Metric("error_rate", share=True),
        Metric("label.{label}.error_rate", share=True),
    )
    reports = (Table("rows"),)
    holds = (checks.parts_are_of_splits,)
    of: Annotated[Ref, To(("corpus", "splits"))] = Field(description="whose labels are judged")
    parts: (
        Annotated[
            tuple[Literal["train", "dev", "test"], ...],
            Field(strict=False, min_length=1, max_length=3),
        ]
        | None
    ) = Field(description="the splits that are judged; null of a corpus, which is judged whole")
    features: Features = Field(description="what the classifier reads of a text")
    folds: int = Field(
        ge=2, le=100, description="parts; the rows of each are judged by what is fitted to the rest"
    )
    seed: int = Field(ge=0, lt=2**31, description="seed of the folds")
    rows: int = Field(ge=1, le=10_000, description="at most that many are listed")

    def modules(self) -> tuple[str, ...]:
        return modules(self.features)
