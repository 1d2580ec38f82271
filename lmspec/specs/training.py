"""training: how weights are fitted: gradient descent, logistic regression, or one and the other."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.balance import Balance
from lmspec.specs.base import Spec
from lmspec.specs.checks import training as checks
from lmspec.specs.optimizers import AdamwSettings, Optimizer
from lmspec.specs.results import COVERAGE, WATCHED, Better, Metric, Of, Table

LABELS: tuple[Of, ...] = ("labels",)
TOKENS: tuple[Of, ...] = ("tokens",)
NETWORKS: tuple[Of, ...] = ("labels", "tokens")
WRITTEN: Mapping[str, tuple[Better, tuple[Of, ...]]] = {
    **{
        name: (better, NETWORKS if name in ("accuracy", "log_loss") else LABELS)
        for name, better in WATCHED.items()
    },
    "bits_per_byte": ("lower", TOKENS),
}


def _watched(before: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"{before}.{name}", better, better == "higher", of=of)
        for name, (better, of) in WRITTEN.items()
    )


TRAINED = (
    Metric("dev.predicted_labels", of=LABELS),
    *_watched("dev"),
    *_watched("seeds.{seed}"),
    Metric("seeds.{seed}.predicted_labels", of=LABELS),
    *_watched("over_seeds.{estimate}"),
    Metric("best_step", of=NETWORKS),
    Metric("steps", of=NETWORKS),
    Metric("parameters"),
    *(Metric(f"train.{metric.path}", share=metric.share, of=LABELS) for metric in COVERAGE),
    Metric("train.rows", of=("tokens", "pairs")),
    Metric("train.left_out", of=TOKENS),  # rows of more tokens than `max_length`
    Metric("train.cut", of=TOKENS),  # rows whose prompt was cut
    Metric("train.tokens", of=TOKENS),
    Metric("train.learned_tokens", of=TOKENS),
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


BALANCE = Field(
    default=None,
    description="how much a training text counts by its group and label, of classifiers; without"
    " it, all groups count by their size",
)


class CrossEntropy(Spec):
    """The negative log of the label's probability. Source of the smoothing: Szegedy et al. 2016,
    arXiv:1512.00567."""

    kind: Literal["cross_entropy"] = Field(description="negative log of the label's probability")
    label_smoothing: float = Field(
        ge=0,
        lt=1,
        description="share of the target that all labels have equally: against overconfidence",
    )


class Focal(Spec):
    """Cross-entropy times (1 - p) ** gamma, p of the label: what is easy counts little.

    Source: Lin et al. 2017, arXiv:1708.02002; their alpha is `class_weights`.
    """

    kind: Literal["focal"] = Field(description="cross-entropy in which easy examples count little")
    gamma: float = Field(ge=0, le=20, description="0: cross-entropy; the authors' is 2.0")


class ExponentialAverage(Spec):
    """Exponential moving average of the weights. Source: Morales-Brotons et al. 2024,
    arXiv:2411.18704."""

    kind: Literal["ema"] = Field(description="exponential moving average over the steps")
    decay: float = Field(
        gt=0,
        lt=1,
        description="how much of the average a step keeps: about 1 / (1 - decay) steps count",
    )


class StochasticAverage(Spec):
    """Stochastic weight averaging. Source: Izmailov et al. 2018, arXiv:1803.05407."""

    kind: Literal["swa"] = Field(description="plain mean over the last steps")
    start_fraction: float = Field(
        ge=0, lt=1, description="share of all steps after which the mean begins"
    )


class Packing(Spec):
    """Several examples in one line of a batch; none sees another, and positions begin again.

    The rows of a step stay those of that step, so the loss is that without packing. Its examples
    are of all lengths, so without it much of a batch is padding.
    """

    max_tokens: int = Field(ge=8, le=1_000_000, description="tokens of a line, at most")


class Private(Spec):
    """Differential privacy of the train split's rows: DP-SGD, with Poisson sampling.

    What the weights say of whether one row was trained on is bounded by epsilon, for anyone who
    does not know `numerics.seed`. Source: Abadi et al. 2016, arXiv:1607.00133.
    """

    epsilon: float = Field(
        gt=0,
        le=50,
        description="the whole training spends at most this; the noise follows from it",
    )
    delta: float = Field(
        gt=0,
        le=0.01,
        description="probability with which epsilon does not hold; below 1 / rows of the train"
        " split, or the stage refuses it",
    )


class EarlyStopping(Spec):
    """The weights of the best evaluation on the dev split are kept; log loss breaks ties."""

    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"] = Field(
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
    """The training loop of networks.

    A method that is not named, by a field that may be left out, is not used.
    """

    holds = (
        checks.schedule_fits_the_steps,
        checks.batch_is_divided,
        checks.a_private_row_counts_once,
        checks.balance_has_the_labels,
    )
    kind: Literal["gradient_descent"] = Field(
        description="for networks: steps along the gradient of batches"
    )
    epochs: int = Field(ge=1, le=1000, description="passes over the train split")
    batch_size: int = Field(ge=1, le=65536, description="examples per optimizer step")
    micro_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="examples computed at once, whose gradients are added up to those of the batch:"
        " less memory, other last digits; without it, the whole batch",
    )
    packing: Packing | None = Field(
        default=None,
        description="several examples in one line, of models that write; without it, each has a"
        " line of its own",
    )
    checkpointing: Literal["layers"] | None = Field(
        default=None,
        description="keep what goes into each layer alone, and compute the rest again for the"
        " gradient: less memory, more time; of models that write. Without it, all is kept."
        " Source: Chen et al. 2016, arXiv:1604.06174",
    )
    optimizer: Optimizer = Field(description="which optimizer, and its settings")
    layerwise_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="learning rate of a layer, as a share of that of the layer above it, from the"
        " head down to the embeddings; without it, all have the same."
        " Source: Howard & Ruder 2018, arXiv:1801.06146",
    )
    warmup_fraction: float = Field(
        ge=0, lt=1, description="share of all steps over which the learning rate rises from 0"
    )
    decay: Literal["constant", "linear", "cosine"] = Field(
        description="shape of the learning-rate decay from the peak to 0"
    )
    decay_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="share of all steps, at the end, over which the rate decays; it is at its peak"
        " before (warm-up, stable, decay); without it, it decays from the end of warm-up."
        " Source: Hägele et al. 2024, arXiv:2405.18392",
    )
    max_gradient_norm: float = Field(
        gt=0,
        le=1e6,
        description="gradients are clipped to this norm; of a `private` training, that of each row",
    )
    private: Private | None = Field(
        default=None,
        description="noise that hides each row of the train split, of a `model` of kind"
        " transformer; without it, none",
    )
    class_weights: ClassWeights
    balance: Balance | None = BALANCE
    loss: Annotated[CrossEntropy | Focal, Field(discriminator="kind")] | None = Field(
        default=None, description="loss against the labels; without it, cross-entropy"
    )
    averaging: (
        Annotated[ExponentialAverage | StochasticAverage, Field(discriminator="kind")] | None
    ) = Field(
        default=None,
        description="evaluate and keep an average of the weights over the steps; without it, the"
        " weights as they are",
    )
    early_stopping: EarlyStopping = Field(
        description="when training stops, and which weights are kept"
    )
    seeds: int = Field(
        ge=1,
        le=100,
        description="number of seeds to train; the first is kept, the rest measure seed variance"
        " on the dev split: mean and 95 % interval",
    )


InverseRegularizations = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1e9)], ...],
    Field(
        strict=False,
        min_length=1,
        max_length=50,
        description="values of C to try; of equally good ones the smallest is kept",
    ),
]
MaxIterations = Annotated[
    int, Field(ge=1, le=100_000, description="of the solver (L-BFGS), for each value of C")
]


class LogisticRegression(Spec):
    """Multinomial logistic regression (scikit-learn) on fixed features.

    The inverse regularization with the lowest log loss on the dev split is kept, each calibrated by
    a temperature there. Source: Guo et al. 2017, arXiv:1706.04599.
    """

    holds = (checks.balance_has_the_labels,)
    kind: Literal["logistic_regression"] = Field(
        description="for fixed features: one linear layer, fitted to the end"
    )
    inverse_regularization: InverseRegularizations
    class_weights: ClassWeights
    balance: Balance | None = BALANCE
    max_iterations: MaxIterations


class Head(Spec):
    """A layer on embeddings, fitted as by logistic_regression."""

    inverse_regularization: InverseRegularizations
    class_weights: ClassWeights
    max_iterations: MaxIterations


class Contrastive(Spec):
    """For a few texts of each label: an encoder learns which of them share one, then a layer is
    fitted to its embeddings.

    All pairs of a batch are compared: the cosine of two texts is to be 1 if they share their label,
    else 0, and pairs of both kinds count as much. Source: Tunstall et al. 2022, arXiv:2209.11055,
    who draw pairs. It takes its steps whatever a dev split says: a few rows cannot tell when to
    stop.
    """

    kind: Literal["contrastive"] = Field(
        description="for a few texts of each label: an encoder by pairs of texts, then one layer"
    )
    steps: int = Field(
        ge=1, le=10**6, description="optimizer steps, rounded up to whole passes over the texts"
    )
    batch_size: int = Field(ge=2, le=65536, description="texts of a step, compared with each other")
    optimizer: AdamwSettings = Field(description="of AdamW")
    warmup_fraction: float = Field(
        ge=0,
        lt=1,
        description="share of all steps over which the learning rate rises from 0; then it falls to"
        " 0 along a line",
    )
    max_gradient_norm: float = Field(gt=0, le=1e6, description="gradients are clipped to this norm")
    frozen_embeddings: bool = Field(description="do not train the embeddings of tokens")
    frozen_layers: int = Field(
        ge=0, le=1000, description="number of bottom layers that are not trained"
    )
    head: Head = Field(description="how the layer above is fitted")


class Untrained(Spec):
    """Nothing is fitted: pretrained weights as they are, or the training pairs themselves."""

    kind: Literal["none"] = Field(
        description="for models that write, or are prompted: nothing is fitted"
    )


AnyTraining = GradientDescent | LogisticRegression | Contrastive | Untrained
Training = Annotated[AnyTraining, Field(discriminator="kind")]


def head(training: AnyTraining) -> LogisticRegression | None:
    """How a layer on features is fitted in the end; None if a network is trained as a whole."""
    if isinstance(training, Contrastive):
        return LogisticRegression(kind="logistic_regression", **training.head.model_dump())
    return training if isinstance(training, LogisticRegression) else None


def descent(training: AnyTraining) -> GradientDescent:
    """The training loop of a network; checks of the specs leave no other."""
    if not isinstance(training, GradientDescent):
        raise TypeError(f"{training.kind} has no training loop")
    return training
