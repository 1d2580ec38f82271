"""training: how weights are fitted: optimizer, schedule, early stopping. Same for every model."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import training as checks
from lmspec.specs.results import WATCHED, Metric, Table

TRAINED = (
    *(Metric(f"dev.{name}", better, better == "higher") for name, better in WATCHED.items()),
    *(
        Metric(f"seeds.{{seed}}.{name}", better, better == "higher")
        for name, better in WATCHED.items()
    ),
    Metric("best_step"),
    Metric("steps"),
    Metric("parameters"),
)
CURVE = Table(
    "curve",
    {"x": "step", "y": "dev_accuracy", "title": "dev accuracy"},
    {"loss": ["train_loss", "dev_log_loss"]},
)


class Adamw(Spec):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019, arXiv:1711.05101."""

    kind: Literal["adamw"] = Field(description="Adam with decoupled weight decay")
    peak_learning_rate: float = Field(gt=0, le=1, description="learning rate at the end of warm-up")
    weight_decay: float = Field(
        ge=0, le=1, description="decoupled; on matrices only, not on biases and norms"
    )
    beta1: float = Field(ge=0, lt=1, description="decay of the running mean of gradients")
    beta2: float = Field(ge=0, lt=1, description="decay of the running mean of squared gradients")
    epsilon: float = Field(gt=0, le=1e-2, description="added to the denominator")


class Sgd(Spec):
    """Stochastic gradient descent with momentum."""

    holds = (checks.nesterov_has_momentum,)
    kind: Literal["sgd"] = Field(description="gradient descent with momentum")
    peak_learning_rate: float = Field(
        gt=0, le=10, description="learning rate at the end of warm-up"
    )
    weight_decay: float = Field(
        ge=0, le=1, description="L2 penalty; on matrices only, not on biases and norms"
    )
    momentum: float = Field(ge=0, lt=1, description="decay of the sum of earlier gradients")
    nesterov: bool = Field(description="Nesterov momentum; needs a momentum above 0")


class EarlyStopping(Spec):
    """The weights of the best evaluation on the dev split are kept."""

    metric: Literal["accuracy", "macro_f1", "log_loss"] = Field(
        description="metric on the dev split that decides"
    )
    evaluations_per_epoch: int = Field(
        ge=1, le=100, description="evenly spaced, the last at the end of the epoch"
    )
    patience: int = Field(
        ge=1, le=100_000, description="evaluations without improvement before training stops"
    )


class Training(Spec):
    """The training loop."""

    epochs: int = Field(ge=1, le=1000, description="passes over the train split")
    batch_size: int = Field(ge=1, le=65536, description="examples per optimizer step")
    optimizer: Annotated[
        Adamw | Sgd, Field(discriminator="kind", description="which optimizer, and its settings")
    ]
    warmup_fraction: float = Field(
        ge=0, lt=1, description="share of all steps over which the learning rate rises from 0"
    )
    decay: Literal["constant", "linear", "cosine"] = Field(
        description="shape of the learning-rate decay from the peak to 0"
    )
    max_gradient_norm: float = Field(gt=0, le=1e6, description="gradients are clipped to this norm")
    early_stopping: EarlyStopping = Field(
        description="when training stops, and which weights are kept"
    )
    seeds: int = Field(
        ge=1,
        le=100,
        description="number of seeds to train; the first is kept, the rest measure seed variance"
        " on the dev split",
    )
