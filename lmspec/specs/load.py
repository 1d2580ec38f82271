"""load: a bundle's service under many clients, beside a model behind a plain application."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.results import Better, Metric, Table
from lmspec.specs.scores import GRAPHS, MODELS, format_of

CLIENTS = (1, 8, 64)  # at a time
FIGURES: Mapping[
    str, tuple[str, Better]
] = {  # of so many clients: name of its ratio -> (path, better)
    "throughput": ("requests_per_second", "higher"),
    "latency_p50": ("latency_ms.p50", "lower"),
    "latency_p99": ("latency_ms.p99", "lower"),
    "cpu": ("cpu_ms", "lower"),
}
ENDS = ("of", "against")


def column(clients: int, path: str) -> str:
    """Of the table of rounds, after the end that it is of."""
    return f"clients_{clients}_{path.replace('.', '_')}"


def _metrics(clients: int) -> tuple[Metric, ...]:
    name = f"clients_{clients}"
    found = []
    for ratio, (path, better) in FIGURES.items():
        of = f"of.{name}.{path}"
        found.append(Metric(of, better, False, "rounds", column(clients, path)))
        found.append(Metric(f"against.{name}.{path}", see=of))
        found += [
            Metric(f"ratio.{name}.{ratio}.{part}", "higher", see=of)
            for part in ("median", "p5", "p95")
        ]
    return *found, *(Metric(f"{end}.{name}.refused", share=True) for end in ENDS)


PEAK = Metric("of.peak_memory_bytes", "lower", False, "peak")
ROUNDS = Table(
    "rounds",
    {"x": "round", "y": f"of_{column(8, 'requests_per_second')}", "title": "requests per second"},
)


class LoadSpec(Artifact):
    """Both answer the same requests in turn, each in a process of its own, in every round.

    The clients are in this process: of few processors they take a share, the same for both.
    It is measured again only when its inputs change.
    """

    noun = "load"
    numerics = True
    measured = True
    final = True
    metrics = (
        *(metric for clients in CLIENTS for metric in _metrics(clients)),
        PEAK,
        Metric("against.peak_memory_bytes", see=PEAK.path, evidence="peak"),
        Metric("ratio.peak_memory", "higher", see=PEAK.path),
        Metric("others_share", share=True),
    )
    reports = (ROUNDS,)
    of: Annotated[Ref, To(("bundle",))] = Field(description="the bundle to serve")
    against: Annotated[Ref, To(MODELS + GRAPHS)] = Field(
        description="the model or graph behind a plain application"
    )
    on: Annotated[Ref, To(("splits",), reads=("test",))] = Field(
        description="splits whose test split provides the texts"
    )
    texts: int = Field(
        ge=64,
        le=100_000,
        description="number of texts drawn from the test split; a request each, by 1 client, by 8"
        " and by 64",
    )
    rounds: int = Field(ge=5, le=10_000, description="number of rounds; each times both in turn")

    def modules(self) -> tuple[str, ...]:
        return (format_of(self.against),)

    def reads_like(self) -> Ref | None:
        return self.against if self.against.noun in MODELS else None
