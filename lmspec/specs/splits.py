"""splits: a corpus cut into train, dev and test; groups and near-duplicates stay together."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Ref, Spec, To
from lmspec.specs.checks import splits as checks
from lmspec.specs.corpus import NearDuplicates
from lmspec.specs.results import Metric, Table


class AcceptedCorrections(Spec):
    """Test rows whose labels annotations change."""

    at_most: int = Field(ge=1, le=10**9, description="this many; more fail the build")
    reason: str = Field(
        min_length=1, max_length=2000, description="why scores may be measured by other labels"
    )


CORRECTED = Table("corrected_test")  # if corrections of the test split are accepted


class SplitsSpec(Artifact):
    """Stratified by label and table. A fraction of 0 leaves that split empty."""

    noun = "splits"
    is_data = True
    metrics = (
        Metric("{split}.documents"),
        Metric("{split}.label.{label}"),
        Metric("{split}.empty_labels"),
        Metric("dev.answers_in_train", of=("answers",)),
        Metric("test.answers_in_train", of=("answers",)),
        Metric("{split}.corrected"),
    )
    reports = (CORRECTED,)
    holds = (checks.fractions_sum_to_one,)
    of: Annotated[Ref, To(("corpus",))] = Field(description="the corpus to split")
    train: float = Field(ge=0, le=1, description="fraction for training")
    dev: float = Field(ge=0, le=1, description="fraction for early stopping and tuning")
    test: float = Field(ge=0, le=1, description="fraction for the final scores")
    seed: int = Field(ge=0, lt=2**31, description="seed of the random split")
    keep_together: NearDuplicates | None = Field(
        description="put near-duplicates into the same split; null: only groups are kept together"
    )
    same_answers: Literal["together"] | None = Field(
        default=None,
        description="put rows with the same answer into the same split; without it, how many"
        " answers are in train too is counted",
    )
    sides: Inside | None = Field(
        default=None,
        description="file of the repository with the lines `id,split` of an earlier cut: those rows"
        " stay where they were, and what must share a split with them follows",
    )
    accepted_test_corrections: AcceptedCorrections | None = Field(
        default=None,
        description="test rows whose labels the corpus's `corrections` may change; without it, one"
        " such row fails the build",
    )

    def files(self) -> tuple[str, ...]:
        return (self.sides,) if self.sides else ()

    def written(self) -> tuple[Table, ...]:
        return self.reports if self.accepted_test_corrections else ()
