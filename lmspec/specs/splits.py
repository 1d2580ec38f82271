"""splits: a corpus cut into train, dev and test; groups and near-duplicates stay together."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Ref, To
from lmspec.specs.checks import splits as checks
from lmspec.specs.corpus import NearDuplicates
from lmspec.specs.results import Metric


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
    )
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

    def files(self) -> tuple[str, ...]:
        return (self.sides,) if self.sides else ()
