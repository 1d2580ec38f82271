"""numerics: what decides bits beside the artifact's own fields; machine: what decides nothing but speed."""

from typing import Literal

from pydantic import Field

from lmspec.specs.base import Spec


class Numerics(Spec):
    """Inputs of every stage that computes in floating point. Never detected: a silent spec means other bits elsewhere."""

    seed: int = Field(
        ge=0, lt=2**31, description="root of every draw: each use derives its own generator from it"
    )
    threads: int = Field(
        ge=1,
        le=256,
        description="threads of one operation; one and two threads sum in another order",
    )
    precision: Literal["fp32", "bf16"] = Field(
        description="of training: fp32, or bf16 autocast over fp32 weights"
    )
    instructions: Literal["default", "avx2", "avx512"] = Field(
        description="widest vector instructions that torch may use (default: the least of the processor family, ARM too);"
        " where the processor lacks them a stage refuses to run"
    )


class Machine(Spec):
    """In no stage's inputs: a change here reruns nothing."""

    device: Literal["cpu", "cuda"] = Field(description="where training and torch scoring run")
