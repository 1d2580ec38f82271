"""exported: a model as an ONNX graph with dynamic batch and length, checked against the model it came from."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To


class ExportedSpec(Artifact):
    """The build fails if any logit differs by more than the tolerance, over a matrix of shapes and masks."""

    noun: ClassVar[str] = "exported"
    numerics: ClassVar[bool] = True
    metrics: ClassVar[bool] = True
    of: Annotated[Ref, To(("model", "student", "updated"))] = Field(description="the model")
    opset: int = Field(ge=18, le=23, description="version of the ONNX operators")
    max_logit_difference: float = Field(
        gt=0, le=1, description="largest absolute difference that is accepted"
    )

    def reads_like(self) -> Ref:
        return self.of
