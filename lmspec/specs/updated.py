"""updated: an earlier model carried on to newly arrived data, without forgetting what it knew."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import updated as checks
from lmspec.specs.training import Training


class Replay(Spec):
    """A uniform sample of old training rows. Source: Prabhu et al. 2023, arXiv:2303.11165: at equal cost, hard to beat."""

    of: Annotated[Ref, To(("splits",))] = Field(
        description="splits that the earlier model was trained on"
    )
    per_new_row: float = Field(
        gt=0, le=100, description="old rows drawn per new row, without repetition"
    )


class Retention(Spec):
    """The earlier model's answers on the replayed rows stay a target. Source: Buzzega et al. 2020, arXiv:2004.07211."""

    temperature: float = Field(gt=0, le=100, description="of both softmaxes")
    weight: float = Field(
        ge=0,
        le=1000,
        description="of the cross-entropy with the earlier model's softened probabilities",
    )


class UpdatedSpec(Artifact):
    """Trained from the earlier model's weights on new rows and replayed old ones."""

    noun: ClassVar[str] = "updated"
    numerics: ClassVar[bool] = True
    metrics: ClassVar[bool] = True
    reports: ClassVar[tuple[str, ...]] = ("curve",)
    holds = (checks.new_and_old_are_apart,)
    of: Annotated[Ref, To(("model", "student", "updated"))] = Field(description="the earlier model")
    on: Annotated[Ref, To(("splits",))] = Field(description="the new data: train and dev splits")
    replay: tuple[Replay, ...] = Field(
        strict=False, min_length=1, description="old data; its dev split counts in early stopping"
    )
    retention: Retention = Field(description="how the earlier model's answers are kept")
    frozen_embeddings: bool = Field(description="leave the embeddings as they are")
    frozen_layers: int = Field(
        ge=0,
        le=1000,
        description="leave that many layers, from the bottom, as they are (transformers)",
    )
    training: Training = Field(description="how the weights are fitted")

    def reads_like(self) -> Ref:
        return self.of
