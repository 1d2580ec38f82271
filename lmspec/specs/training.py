"""training: how weights are fitted: optimizer, schedule, early stopping. The same for every kind of model."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import training as checks


class Adamw(Spec):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019, arXiv:1711.05101."""

    kind: Literal["adamw"] = Field(description="Adam with decoupled weight decay")
    peak_learning_rate: float = Field(gt=0, le=1, description="reached when warm-up ends")
    weight_decay: float = Field(
        ge=0, le=1, description="decoupled; on matrices only, not on biases and norms"
    )
    beta1: float = Field(ge=0, lt=1, description="decay of the mean of gradients")
    beta2: float = Field(ge=0, lt=1, description="decay of the mean of squared gradients")
    epsilon: float = Field(gt=0, le=1e-2, description="added to the denominator")


class Sgd(Spec):
    """Stochastic gradient descent with momentum."""

    holds = (checks.nesterov_has_momentum,)
    kind: Literal["sgd"] = Field(description="gradient descent with momentum")
    peak_learning_rate: float = Field(gt=0, le=10, description="reached when warm-up ends")
    weight_decay: float = Field(
        ge=0, le=1, description="L2 penalty; on matrices only, not on biases and norms"
    )
    momentum: float = Field(ge=0, lt=1, description="decay of the sum of earlier gradients")
    nesterov: bool = Field(description="needs a momentum above 0")


class EarlyStopping(Spec):
    """The weights kept are those of the best evaluation on the dev split."""

    metric: Literal["accuracy", "macro_f1", "log_loss"] = Field(
        description="measured on the dev split"
    )
    evaluations_per_epoch: int = Field(
        ge=1, le=100, description="evenly spaced, the last at the end of the epoch"
    )
    patience: int = Field(
        ge=1,
        le=100_000,
        description="evaluations without a better value after which training stops",
    )


class Training(Spec):
    """One pass through the loop."""

    epochs: int = Field(ge=1, le=1000, description="passes over the training split")
    batch_size: int = Field(ge=1, le=65536, description="examples per optimizer step")
    optimizer: Annotated[
        Adamw | Sgd, Field(discriminator="kind", description="how a gradient becomes a step")
    ]
    warmup_fraction: float = Field(
        ge=0, lt=1, description="of all steps, over which the learning rate rises from 0"
    )
    decay: Literal["constant", "linear", "cosine"] = Field(
        description="of the learning rate, from the peak to 0"
    )
    max_gradient_norm: float = Field(
        gt=0, le=1e6, description="gradients are scaled down to this L2 norm"
    )
    early_stopping: EarlyStopping = Field(
        description="when training ends, and which weights are kept"
    )
    seeds: int = Field(
        ge=1,
        le=100,
        description="trainings; the first is kept, the others show on the dev split what chance does",
    )
