"""training: how weights are fitted: optimizer, schedule, early stopping. The same for every kind of model."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lmspec.specs.base import Spec


class Adamw(Spec):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019, arXiv:1711.05101."""

    kind: Literal["adamw"]
    peak_learning_rate: float = Field(gt=0, le=1, description="reached when warm-up ends")
    weight_decay: float = Field(ge=0, le=1, description="decoupled; on matrices only, not on biases and norms")
    beta1: float = Field(ge=0, lt=1, description="decay of the mean of gradients")
    beta2: float = Field(ge=0, lt=1, description="decay of the mean of squared gradients")
    epsilon: float = Field(gt=0, le=1e-2, description="added to the denominator")


class Sgd(Spec):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    peak_learning_rate: float = Field(gt=0, le=10, description="reached when warm-up ends")
    weight_decay: float = Field(ge=0, le=1, description="L2 penalty; on matrices only, not on biases and norms")
    momentum: float = Field(ge=0, lt=1)
    nesterov: bool = Field(description="needs a momentum above 0")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "Sgd":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class EarlyStopping(Spec):
    """The weights kept are those of the best evaluation on the dev side."""

    metric: Literal["accuracy", "macro_f1", "log_loss"] = Field(description="measured on the dev side")
    evaluations_per_epoch: int = Field(ge=1, le=100)
    patience: int = Field(ge=1, description="evaluations without a better value after which training stops")


class Training(Spec):
    """One pass through the loop."""

    epochs: int = Field(ge=1, le=1000)
    batch_size: int = Field(ge=1, le=65536, description="examples per optimizer step")
    optimizer: Annotated[Adamw | Sgd, Field(discriminator="kind")]
    warmup_fraction: float = Field(ge=0, lt=1, description="of all steps, over which the learning rate rises from 0")
    decay: Literal["constant", "linear", "cosine"] = Field(description="of the learning rate, from the peak to 0")
    max_gradient_norm: float = Field(gt=0, description="gradients are scaled down to this L2 norm")
    early_stopping: EarlyStopping
