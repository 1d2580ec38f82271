"""speed: a graph timed against another model in one run: latency, throughput, size, memory."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.results import Metric, Table
from lmspec.specs.scores import GRAPHS, MODELS, format_of

TIMED = {
    "latency_ms.p50": Metric("of.latency_ms.p50", "lower", False, "rounds", "p50_ms"),
    "latency_ms.p95": Metric("of.latency_ms.p95", "lower", False, "rounds", "p95_ms"),
    "texts_per_second": Metric(
        "of.texts_per_second", "higher", False, "rounds", "texts_per_second"
    ),
    "weights_bytes": Metric("of.weights_bytes", "lower", False, "size"),
    "peak_memory_bytes": Metric("of.peak_memory_bytes", "lower", False, "peak"),
}
IN_ROUNDS = {
    "latency_p50": "latency_ms.p50",
    "latency_p95": "latency_ms.p95",
    "throughput": "texts_per_second",
}
RATIOS = {
    **{f"{n}.{part}": IN_ROUNDS[n] for n in IN_ROUNDS for part in ("median", "p5", "p95")},
    "weights": "weights_bytes",
    "peak_memory": "peak_memory_bytes",
}


class SpeedSpec(Artifact):
    """Interleaved rounds, so that drift of the machine's speed cancels out.

    It is measured again only when its inputs change.
    """

    noun = "speed"
    numerics = True
    measured = True
    final = True
    origin = "of"
    metrics = (
        *TIMED.values(),
        *(
            Metric(
                f"against.{name}",
                evidence=None if metric.column else metric.evidence,
                see=metric.path,
            )
            for name, metric in TIMED.items()
        ),
        *(
            Metric(f"ratio.{name}", "higher", see=TIMED[timed].path)
            for name, timed in RATIOS.items()
        ),
    )
    reports = (Table("rounds", {"x": "round", "y": "of_p50_ms", "title": "median latency"}),)
    of: Annotated[Ref, To(GRAPHS)] = Field(description="the graph to time")
    against: Annotated[Ref, To(MODELS + GRAPHS)] = Field(
        description="the model or graph it is compared with"
    )
    on: Annotated[Ref, To(("splits",), reads=("test",))] = Field(
        description="splits whose test split provides the texts"
    )
    texts: int = Field(ge=8, le=100_000, description="number of texts drawn from the test split")
    rounds: int = Field(ge=5, le=10_000, description="number of rounds; each times both in turn")
    batch_size: int = Field(
        ge=2, le=65536, description="batch size for throughput; latency is measured at batch 1"
    )

    def modules(self) -> tuple[str, ...]:
        return (format_of(self.of), format_of(self.against))

    def reads_like(self) -> Ref | None:
        return self.against if self.against.noun in MODELS else None
