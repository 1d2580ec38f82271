"""speed: a graph timed against another model in one run: latency, throughput, size, memory."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.results import Metric, Of, Table
from lmspec.specs.scores import DECODER, GRAPHS, MODELS, format_of

LABELS: tuple[Of, ...] = ("labels",)
TOKENS: tuple[Of, ...] = ("tokens",)
TORCH = "lmspec.writing.torchdecoder"  # decodes what a model holds
TIMED = {
    "latency_ms.p50": Metric("of.latency_ms.p50", "lower", False, "rounds", "p50_ms", of=LABELS),
    "latency_ms.p95": Metric("of.latency_ms.p95", "lower", False, "rounds", "p95_ms", of=LABELS),
    "texts_per_second": Metric(
        "of.texts_per_second", "higher", False, "rounds", "texts_per_second", of=LABELS
    ),
    "first_token_ms.p50": Metric(
        "of.first_token_ms.p50", "lower", False, "rounds", "first_token_ms", of=TOKENS
    ),
    **{
        path: Metric(f"of.{path}", "higher", False, "rounds", path.replace(".", "_"), of=TOKENS)
        for path in (
            "prefill_tokens_per_second",
            "decode_tokens_per_second",
            "batch.prefill_tokens_per_second",
            "batch.decode_tokens_per_second",
        )
    },
    "weights_bytes": Metric("of.weights_bytes", "lower", False, "size"),
    "peak_memory_bytes": Metric("of.peak_memory_bytes", "lower", False, "peak"),
}
IN_ROUNDS = {
    "latency_p50": "latency_ms.p50",
    "latency_p95": "latency_ms.p95",
    "throughput": "texts_per_second",
    "first_token": "first_token_ms.p50",
    "prefill": "prefill_tokens_per_second",
    "decode": "decode_tokens_per_second",
    "batch_prefill": "batch.prefill_tokens_per_second",
    "batch_decode": "batch.decode_tokens_per_second",
}
RATIOS = {
    **{f"{n}.{part}": IN_ROUNDS[n] for n in IN_ROUNDS for part in ("median", "p5", "p95")},
    "weights": "weights_bytes",
    "peak_memory": "peak_memory_bytes",
}


ROUNDS = Table("rounds", {"x": "round", "y": "of_p50_ms", "title": "median latency"})
TOKEN_ROUNDS = Table(
    "rounds",
    {"x": "round", "y": "of_decode_tokens_per_second", "title": "tokens per second"},
)


class Continued(Spec):
    """Prompts of one length, and the tokens that follow each, whatever they are."""

    prompt_tokens: int = Field(
        ge=1, le=131_072, description="tokens of each prompt: those of test prompts, joined"
    )
    new_tokens: int = Field(
        ge=2, le=131_072, description="tokens generated after each; an end ends nothing"
    )


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
                of=metric.of,
            )
            for name, metric in TIMED.items()
        ),
        *(
            Metric(f"ratio.{name}", "higher", see=TIMED[timed].path, of=TIMED[timed].of)
            for name, timed in RATIOS.items()
        ),
        Metric("others_share", share=True, of=TOKENS),
    )
    reports = (ROUNDS, TOKEN_ROUNDS)
    of: Annotated[Ref, To(GRAPHS)] = Field(description="the graph to time")
    against: Annotated[Ref, To(MODELS + GRAPHS)] = Field(
        description="the model or graph it is compared with"
    )
    on: Annotated[Ref, To(("splits",), reads=("test",))] = Field(
        description="splits whose test split provides the texts"
    )
    texts: int = Field(
        ge=8, le=100_000, description="number of texts, or prompts, drawn from the test split"
    )
    rounds: int = Field(ge=5, le=10_000, description="number of rounds; each times both in turn")
    batch_size: int = Field(
        ge=2, le=65536, description="batch size for throughput; latency is measured at batch 1"
    )
    generation: Continued | None = Field(
        default=None,
        description="of models that write: how much they read and write. Each round continues one"
        " prompt alone and `batch_size` of them together",
    )

    def modules(self) -> tuple[str, ...]:
        ends = (self.of, self.against)
        if self.generation is None:
            return tuple(map(format_of, ends))
        return ("stages.writing_speed", *(TORCH if e.noun in MODELS else DECODER for e in ends))

    def written(self) -> tuple[Table, ...]:
        return (ROUNDS if self.generation is None else TOKEN_ROUNDS,)

    def reads_like(self) -> Ref | None:
        return self.against if self.against.noun in MODELS else None
