"""speed: a graph against another model in one run: latency, throughput, size, memory, as ratios. Measured, not computed."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.scores import GRAPHS, MODELS, format_of


class SpeedSpec(Artifact):
    """Interleaved rounds, so that a drift of the machine's speed cancels out. Runs again only when its inputs change."""

    noun: ClassVar[str] = "speed"
    numerics: ClassVar[bool] = True
    cached: ClassVar[bool] = (
        False  # a measurement is never the same twice: git keeps it, no cache does
    )
    metrics: ClassVar[bool] = True
    reports: ClassVar[tuple[str, ...]] = ("rounds",)
    of: Annotated[Ref, To(GRAPHS)] = Field(description="the graph")
    against: Annotated[Ref, To(MODELS + GRAPHS)] = Field(description="what it is compared with")
    on: Annotated[Ref, To(("splits",))] = Field(description="its test split gives the texts")
    texts: int = Field(ge=8, le=100_000, description="texts drawn from the test split")
    rounds: int = Field(ge=5, le=10_000, description="blocks of each, in turn")
    batch_size: int = Field(
        ge=2, le=65536, description="of the throughput measurement; latency is at batch 1"
    )

    def modules(self) -> tuple[str, ...]:
        return (format_of(self.of), format_of(self.against))

    def reads_like(self) -> Ref | None:
        return self.against if self.against.noun in MODELS else None
