"""exported: a model as an ONNX graph, checked against the model it came from."""

from typing import Annotated, Literal

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.results import Metric, Of

TOKENS: tuple[Of, ...] = ("tokens",)


class Cache(Spec):
    """A graph that is given keys and values of the tokens before, so that it reads each once."""

    kind: Literal["cache"] = Field(description="a graph with a cache of keys and values")
    max_past: int = Field(
        ge=2, le=131_072, description="tokens of prompt and answer together, at most"
    )
    prompts: Annotated[Ref, To(("splits",), reads=("dev",))] = Field(
        description="splits with dev prompts that the graph must answer as the model does"
    )


class _Kinds:
    """Makes the schema of one kind that of a choice, as those of several kinds are."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        written = handler(schema)
        kinds = {"mapping": {"cache": written["$ref"]}, "propertyName": "kind"}
        return {"discriminator": kinds, "oneOf": [written]}


class ExportedSpec(Artifact):
    """A graph with dynamic batch and length. The build fails if a logit exceeds the tolerance."""

    noun = "exported"
    numerics = True
    origin = "of"
    metrics = (
        Metric("largest_logit_difference", "lower"),
        Metric("greedy_same", "higher", share=True, of=TOKENS),
        Metric("batch_difference", "lower", of=TOKENS),
        Metric("nodes"),
        Metric("bytes", "lower", evidence="size"),
    )
    of: Annotated[Ref, To(("model", "student", "updated"))] = Field(
        description="the model to export"
    )
    opset: int = Field(ge=18, le=23, description="version of the ONNX operator set")
    max_logit_difference: float = Field(
        gt=0, le=1, description="largest absolute logit difference allowed"
    )
    format: Annotated[Cache, _Kinds()] | None = Field(
        default=None,
        description="of a model that writes; without it, a graph of texts -> logits of labels",
    )

    def modules(self) -> tuple[str, ...]:
        return ("stages.writing_exported",) * (self.format is not None)

    def reads_like(self) -> Ref:
        return self.of
