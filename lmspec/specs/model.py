"""model: a candidate, fitted to the training split of its splits."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.architecture import Architecture
from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.training import Training


class ModelSpec(Artifact):
    """A classifier and its tokenizer, saved as safetensors and JSON."""

    noun: ClassVar[str] = "model"
    numerics: ClassVar[bool] = True
    metrics: ClassVar[bool] = True
    reports: ClassVar[tuple[str, ...]] = ("curve",)
    on: Annotated[Ref, To(("splits",))] = Field(
        description="trained on the train split, stopped by the dev split"
    )
    architecture: Architecture = Field(description="which kind of network")
    training: Training = Field(description="how the weights are fitted")

    def modules(self) -> tuple[str, ...]:
        return (self.architecture.module,)

    def reader_modules(self) -> tuple[str, ...]:
        return (self.architecture.module,)
