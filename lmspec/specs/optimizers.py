"""optimizers: the rules by which a gradient changes the weights, each as torch.optim has it."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import training as checks

PeakLearningRate = Annotated[
    float, Field(gt=0, le=1, description="learning rate at the end of warm-up")
]
DecoupledWeightDecay = Annotated[
    float, Field(ge=0, le=1, description="decoupled; on matrices only, not on biases and norms")
]
Momentum = Annotated[float, Field(ge=0, lt=1, description="decay of the sum of earlier gradients")]


class AdamwSettings(Spec):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019, arXiv:1711.05101."""

    peak_learning_rate: PeakLearningRate
    weight_decay: DecoupledWeightDecay
    beta1: float = Field(ge=0, lt=1, description="decay of the running mean of gradients")
    beta2: float = Field(ge=0, lt=1, description="decay of the running mean of squared gradients")
    epsilon: float = Field(gt=0, le=1e-2, description="added to the denominator")


class Adamw(AdamwSettings):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019, arXiv:1711.05101."""

    kind: Literal["adamw"] = Field(description="Adam with decoupled weight decay")


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
    momentum: Momentum
    nesterov: bool = Field(description="Nesterov momentum; needs a momentum above 0")


class Adafactor(Spec):
    """Adam whose squared gradients are kept as a row and a column of each matrix: little memory.

    Source: Shazeer & Stern 2018, arXiv:1804.04235, whose names these are.
    """

    kind: Literal["adafactor"] = Field(description="Adam in less memory, steps relative to weights")
    peak_learning_rate: float = Field(
        gt=0,
        le=1,
        description="at the end of warm-up, relative to the root mean square of each matrix; at"
        " step t at most 1 / sqrt(t)",
    )
    weight_decay: DecoupledWeightDecay
    beta2_decay: float = Field(
        ge=-2,
        le=0,
        description="the running mean of squared gradients decays by 1 - t ** beta2_decay at"
        " step t; the authors' is -0.8",
    )
    epsilon1: float = Field(
        ge=1e-18,
        le=1e-2,
        description="its square is the smallest squared gradient; 1e-15 gives the authors' 1e-30",
    )
    epsilon2: float = Field(
        gt=0,
        le=1,
        description="smallest root mean square that a step is relative to; the authors' is 1e-3",
    )
    clipping_threshold: float = Field(
        gt=0, le=1000, description="largest root mean square of an update; the authors' is 1.0"
    )


class Muon(Spec):
    """Momentum, orthogonalised by Newton-Schulz iterations: for hidden matrices, such as attention.

    Embeddings, the head, biases, norms and whatever has not two dimensions get AdamW.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; its adjustment: Liu et al. 2025,
    arXiv:2502.16982.
    """

    kind: Literal["muon"] = Field(
        description="orthogonalised momentum for hidden matrices, AdamW for the rest"
    )
    peak_learning_rate: float = Field(
        gt=0, le=1, description="of hidden matrices, at the end of warm-up"
    )
    weight_decay: float = Field(ge=0, le=1, description="decoupled; of hidden matrices")
    momentum: Momentum
    nesterov: bool = Field(description="Nesterov momentum")
    iterations: int = Field(
        ge=1, le=99, description="of Newton and Schulz, per step; the authors' is 5"
    )
    adjustment: Literal["original", "match_rms_adamw"] = Field(
        description="how the rate follows the shape of a matrix: original, or so that an update is"
        " as large as AdamW's, whose learning rates then suit it too"
    )
    rest: AdamwSettings = Field(description="AdamW, of all other weights")


Optimizer = Annotated[Adamw | Sgd | Adafactor | Muon, Field(discriminator="kind")]
