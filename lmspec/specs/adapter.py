"""adapter: a few trained weights beside frozen ones."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import adapter as checks


class Adapter(Spec):
    """Low-rank matrices beside frozen ones, added to them when training ends (peft).

    Sources: Hu et al. 2021, arXiv:2106.09685 (lora); Kalajdzievski 2023, arXiv:2312.03732 (rslora);
    Liu et al. 2024, arXiv:2402.09353 (dora).
    """

    holds = (checks.targets_are_listed_once,)
    method: Literal["lora", "rslora", "dora"] = Field(
        description="lora: two low-rank matrices, scaled by alpha / rank; rslora: by"
        " alpha / sqrt(rank); dora: lora, and the length of each row of the sum is trained apart"
    )
    rank: int = Field(ge=1, le=4096, description="columns of the first matrix, rows of the second")
    alpha: int = Field(ge=1, le=100_000, description="how much the adapter counts; see `method`")
    dropout: float = Field(ge=0, lt=1, description="of what goes into the adapter")
    targets: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        strict=False,
        min_length=1,
        max_length=100,
        description="which linear layers get one: all_linear, attention (those of attention), or"
        " names such as query and value",
    )
    bias: Literal["none", "lora_only"] = Field(
        description="lora_only: the biases of these layers are trained too"
    )
