"""exported: a model as a file that other programs run, checked against the model it came from."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import exported as checks
from lmspec.specs.results import Metric, Of

TOKENS: tuple[Of, ...] = ("tokens",)
CACHES: tuple[Of, ...] = ("caches",)
FILES: tuple[Of, ...] = ("files",)


class Cache(Spec):
    """A graph that is given keys and values of the tokens before, so that it reads each once."""

    stage: ClassVar[str] = "stages.writing_exported"
    kind: Literal["cache"] = Field(description="a graph with a cache of keys and values")
    max_past: int = Field(
        ge=2, le=131_072, description="tokens of prompt and answer together, at most"
    )
    prompts: Annotated[Ref, To(("splits",), reads=("dev",))] = Field(
        description="splits with dev prompts that the graph must answer as the model does"
    )


class Gguf(Spec):
    """One file for llama.cpp and what is built on it: weights, tokenizer, template of chats."""

    stage: ClassVar[str] = "stages.writing_gguf"
    kind: Literal["gguf"] = Field(description="a file for llama.cpp")
    weights: Literal["f32", "f16", "q8_0"] = Field(
        description="how matrices are stored: in 32 or 16 bits, or in 8 with a scale for each block"
        " of 32"
    )
    prompts: Annotated[Ref, To(("splits",), reads=("dev",))] = Field(
        description="splits with dev prompts: which answers the stored weights change, and whether"
        " llama.cpp reads the same tokens"
    )


class ExportedSpec(Artifact):
    """A graph with dynamic batch and length, or a GGUF file. The build fails if a logit exceeds
    the tolerance.
    """

    noun = "exported"
    numerics = True
    origin = "of"
    holds = (checks.operators_are_of_a_graph, checks.rounding_is_of_fewer_bits)
    metrics = (
        Metric("largest_logit_difference", "lower"),
        Metric("greedy_same", "higher", share=True, of=TOKENS),
        Metric("batch_difference", "lower", of=("labels", *CACHES)),
        Metric("same_prompts", "higher", share=True, of=FILES),
        Metric("nodes", of=("labels", *CACHES)),
        Metric("bytes", "lower", evidence="size"),
    )
    of: Annotated[Ref, To(("model", "student", "updated"))] = Field(
        description="the model to export"
    )
    opset: int | None = Field(
        default=None, ge=18, le=23, description="of a graph: version of the ONNX operator set"
    )
    max_logit_difference: float = Field(
        gt=0,
        le=100,
        description="largest absolute logit difference allowed; above 1 only of a GGUF with"
        " rounded weights",
    )
    format: Annotated[Cache | Gguf, Field(discriminator="kind")] | None = Field(
        default=None,
        description="of a model that writes; without it, a graph of texts -> logits of labels",
    )

    def modules(self) -> tuple[str, ...]:
        return () if self.format is None else (self.format.stage,)

    def reads_like(self) -> Ref:
        return self.of
