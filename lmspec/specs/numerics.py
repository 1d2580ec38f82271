"""numerics: what else decides the bits; machine: what decides nothing but speed."""

from typing import Literal

from pydantic import Field

from lmspec.specs.base import Spec


class Numerics(Spec):
    """Inputs of every stage that computes in floating point.

    Never detected: the same spec would then give other bits on another machine.
    """

    seed: int = Field(
        ge=0, lt=2**31, description="root seed; each use derives its own generator from it"
    )
    threads: int = Field(
        ge=1,
        le=256,
        description="threads per operation; another number sums in another order",
    )
    precision: Literal["fp32", "bf16"] = Field(
        description="precision of training: fp32, or bf16 autocast over fp32 weights"
    )
    instructions: Literal["default", "avx2", "avx512"] = Field(
        description="widest vector instructions torch may use (default: the lowest of the"
        " processor family; use it on ARM too); a processor without them refuses to build"
    )


class Machine(Spec):
    """In no stage's cache key: a change reruns nothing."""

    device: Literal["cpu", "cuda"] = Field(description="where torch trains and scores")
