"""prompted: how the labels that a prompted model gives are calibrated, without any label."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec


class Uncalibrated(Spec):
    """The likelihoods of the labels' words, as they are."""

    kind: Literal["none"] = Field(description="the likelihoods of the words as they are")


class Contextual(Spec):
    """What the prompt itself prefers is taken away: its answers to texts that say nothing.

    Source: Zhao et al. 2021, arXiv:2102.09690; theirs are `N/A`, `[MASK]` and an empty text.
    """

    kind: Literal["contextual"] = Field(description="by the answers to texts that say nothing")
    inputs: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        strict=False, min_length=1, max_length=100, description="texts that say nothing"
    )


class Prior(Spec):
    """What the prompt prefers on texts of the task is taken away: all labels are as frequent.

    Source: Zhou et al. 2023, arXiv:2309.17249 (batch calibration).
    """

    kind: Literal["prior"] = Field(
        description="by the mean over train texts, whose labels it omits"
    )
    texts: int = Field(
        ge=1, le=100_000, description="that many texts of the train split, drawn by numerics.seed"
    )


Calibration = Annotated[Uncalibrated | Contextual | Prior, Field(discriminator="kind")]
