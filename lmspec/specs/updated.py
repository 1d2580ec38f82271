"""updated: an earlier model trained further on new data, without forgetting what it knew."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.architecture import FrozenEmbeddings, FrozenLayers
from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import updated as checks
from lmspec.specs.checks.training import nothing_else_is_private, weights_are_trained_further
from lmspec.specs.results import Metric
from lmspec.specs.training import CURVE, TRAINED, Training


class Replay(Spec):
    """A uniform sample of old training rows: hard to beat at equal cost.

    Source: Prabhu et al. 2023, arXiv:2303.11165.
    """

    of: Annotated[Ref, To(("splits", "augmented"), reads=("train", "dev"))] = Field(
        description="splits that the earlier model was trained on, or what is made from these"
    )
    per_new_row: float = Field(
        gt=0, le=100, description="old rows drawn per new row, without replacement"
    )


class Retention(Spec):
    """The earlier model's predictions on the replayed rows stay a target.

    Source: Buzzega et al. 2020, arXiv:2004.07211.
    """

    temperature: float = Field(gt=0, le=100, description="temperature of both softmaxes")
    weight: float = Field(
        ge=0,
        le=1000,
        description="weight of the cross-entropy with the earlier model's soft labels",
    )
    top_logits: int | None = Field(
        default=None,
        ge=1,
        le=10**6,
        description="of models that write, and of these alone: so many logits of each learned token"
        " are kept, the largest; all other tokens count as one",
    )


class UpdatedSpec(Artifact):
    """Trained from the earlier model's weights on new rows and replayed old ones."""

    noun = "updated"
    numerics = True
    origin = "of"
    metrics = (*TRAINED, Metric("rows.new"), Metric("rows.replayed"))
    reports = (CURVE,)
    holds = (checks.new_and_old_are_apart, weights_are_trained_further, nothing_else_is_private)
    of: Annotated[Ref, To(("model", "student", "updated"))] = Field(description="the earlier model")
    on: Annotated[Ref, To(("splits", "augmented"), reads=("train", "dev"))] = Field(
        description="splits with the new data (train and dev)"
    )
    rows: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="that many of the new rows, drawn by `numerics.seed`, of models that write;"
        " without it, all",
    )
    replay: tuple[Replay, ...] = Field(
        strict=False,
        min_length=1,
        description="old data; its dev split counts in early stopping too",
    )
    retention: Retention = Field(description="how the earlier model's predictions are preserved")
    frozen_embeddings: FrozenEmbeddings
    frozen_layers: FrozenLayers
    training: Training = Field(description="how the weights are fitted")

    def modules(self) -> tuple[str, ...]:
        return ("stages.writing_updated",) * (self.retention.top_logits is not None)

    def reads_like(self) -> Ref:
        return self.of
