"""exported: a model as an ONNX graph, checked against the model it came from."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.results import Metric


class ExportedSpec(Artifact):
    """A graph with dynamic batch and length. The build fails if a logit exceeds the tolerance."""

    noun = "exported"
    numerics = True
    origin = "of"
    metrics = (
        Metric("largest_logit_difference", "lower"),
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

    def reads_like(self) -> Ref:
        return self.of
