"""splits: a corpus cut into train, dev and test; groups and near-duplicates stay on one split."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks import splits as checks
from lmspec.specs.corpus import NearDuplicates


class SplitsSpec(Artifact):
    """Stratified by label and table. The three fractions sum to one; a fraction of 0 leaves that split empty."""

    noun: ClassVar[str] = "splits"
    metrics: ClassVar[bool] = True
    holds = (checks.fractions_sum_to_one,)
    of: Annotated[Ref, To(("corpus",))] = Field(description="the corpus that is cut")
    train: float = Field(ge=0, le=1, description="fraction for training")
    dev: float = Field(ge=0, le=1, description="fraction for early stopping and tuning")
    test: float = Field(ge=0, le=1, description="fraction for the final scores")
    seed: int = Field(ge=0, lt=2**31, description="of the draw")
    keep_together: NearDuplicates | None = Field(
        description="near-duplicates that share a split; null: groups only"
    )
