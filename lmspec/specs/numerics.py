"""numerics: what else decides the bits; machine: what decides nothing but speed."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Sha256, Spec, matching
from lmspec.specs.checks import numerics as checks

PATH_RULE = "an absolute path, without '.' and '..'"
_PART = r"(?:[^./\x00-\x1f][^/\x00-\x1f]*|\.[^./\x00-\x1f][^/\x00-\x1f]*)"


class SystemFile(Spec):
    """A file outside of the project that stages may read, such as a dictionary or a program."""

    path: Annotated[str, matching(f"^(?:/{_PART})+$", PATH_RULE, 1000)] = Field(
        description="where it is on every machine that builds"
    )
    sha256: Sha256 = Field(description="SHA-256 of the file; a stage refuses another")


class Numerics(Spec):
    """Inputs of every stage that computes in floating point.

    Never detected: the same spec would then give other bits on another machine.
    """

    holds = (checks.sharding_has_a_world,)
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
    instructions: Literal["default", "avx2", "avx512", "amx"] = Field(
        description="widest vector instructions torch may use (default: the lowest of the"
        " processor family; use it on ARM too; amx: matrix units, for bf16); a processor without"
        " them refuses to build"
    )
    world: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="processes that train a network together (`gradient_descent`), each with"
        " `threads` and, on a GPU, a card of its own; another number sums in another order; without"
        " it, one. Source: Li et al. 2020, arXiv:2006.15704",
    )
    sharding: Literal["full"] | None = Field(
        default=None,
        description="full: weights, gradients and the optimizer's state of transformers are divided"
        " among the processes of `world`, for models that do not fit; without it, each holds all."
        " Source: Zhao et al. 2023, arXiv:2304.11277",
    )
    system_files: tuple[SystemFile, ...] = Field(
        default=(),
        strict=False,
        description="files of the system that stages may read beside Python, its packages and"
        " shared libraries",
    )


class Machine(Spec):
    """In no stage's cache key: a change reruns nothing."""

    device: Literal["cpu", "cuda"] = Field(description="where torch trains and scores")
    tracking: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] | None = Field(
        default=None,
        strict=False,
        description="where the curves of trainings go beside `lmspec runs` (default: to TensorBoard"
        " if it is installed)",
    )
    memory_gib: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="memory of one card, or of the machine: `lmspec validate` then refuses a"
        " training that needs more (default: not checked before it runs)",
    )
