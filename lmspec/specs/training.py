"""training: how weights are fitted: gradient descent for networks, else logistic regression."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import training as checks
from lmspec.specs.results import COVERAGE, WATCHED, Metric, Table

TRAINED = (
    Metric("dev.predicted_labels"),
    *(Metric(f"dev.{name}", better, better == "higher") for name, better in WATCHED.items()),
    *(
        Metric(f"seeds.{{seed}}.{name}", better, better == "higher")
        for name, better in WATCHED.items()
    ),
    Metric("seeds.{seed}.predicted_labels"),
    Metric("best_step"),
    Metric("steps"),
    Metric("parameters"),
    *(Metric(f"train.{metric.path}", share=metric.share) for metric in COVERAGE),
)
CURVE = Table(
    "curve",
    {"x": "step", "y": "dev_accuracy", "title": "dev accuracy"},
    {"loss": ["train_loss", "dev_log_loss"]},
)


ClassWeights = Annotated[
    Literal["none", "balanced"],
    Field(
        description="balanced: the loss of a label's examples is weighted by examples / (labels *"
        " examples of the label), so that rare labels count as much as frequent ones"
    ),
]


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
    """The weights of the best evaluation on the dev split are kept; log loss breaks ties."""

    metric: Literal["accuracy", "macro_f1", "log_loss"] = Field(
        description="metric on the dev split that decides"
    )
    evaluation_steps: int = Field(
        ge=1,
        le=10**9,
        description="optimizer steps from one evaluation to the next; the end is always evaluated",
    )
    patience: int = Field(
        ge=1,
        le=100_000,
        description="evaluations without improvement before training stops; it counts once the"
        " model has left its cold start",
    )


class GradientDescent(Spec):
    """The training loop of networks."""

    kind: Literal["gradient_descent"] = Field(
        description="for networks: steps along the gradient of batches"
    )
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
    class_weights: ClassWeights
    early_stopping: EarlyStopping = Field(
        description="when training stops, and which weights are kept"
    )
    seeds: int = Field(
        ge=1,
        le=100,
        description="number of seeds to train; the first is kept, the rest measure seed variance"
        " on the dev split",
    )


class LogisticRegression(Spec):
    """Multinomial logistic regression (scikit-learn) on fixed features.

    The inverse regularization with the lowest log loss on the dev split is kept, each calibrated by
    a temperature there. Source: Guo et al. 2017, arXiv:1706.04599.
    """

    kind: Literal["logistic_regression"] = Field(
        description="for fixed features: one linear layer, fitted to the end"
    )
    inverse_regularization: tuple[Annotated[float, Field(gt=0, le=1e9)], ...] = Field(
        strict=False,
        min_length=1,
        max_length=50,
        description="values of C to try; of equally good ones the smallest is kept",
    )
    class_weights: ClassWeights
    max_iterations: int = Field(
        ge=1, le=100_000, description="of the solver (L-BFGS), for each value of C"
    )


Training = Annotated[GradientDescent | LogisticRegression, Field(discriminator="kind")]


def descent(training: GradientDescent | LogisticRegression) -> GradientDescent:
    """The training loop of a network; checks of the specs leave no other."""
    if not isinstance(training, GradientDescent):
        raise TypeError(f"{training.kind} has no training loop")
    return training
