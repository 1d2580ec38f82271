"""quantized: a graph in int8, checked against the one it came from."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To


class Dynamic(Spec):
    """Weights in int8, activations quantized as they pass, one scale per tensor: for transformers and LSTMs."""

    kind: Literal["dynamic"] = Field(description="scales of activations are found as they pass")
    per_channel: bool = Field(
        description="one scale per output of a weight matrix instead of one per matrix"
    )
    reduce_range: bool = Field(
        description="7-bit weights: without VNNI, 8 bits overflow inside x86 kernels"
    )


class Static(Spec):
    """Weights and activations in int8 with scales fixed from calibration texts: for convolutions."""

    kind: Literal["static"] = Field(description="scales of activations are fixed by calibration")
    per_channel: bool = Field(description="one scale per output channel of a weight")
    reduce_range: bool = Field(
        description="7-bit weights: without VNNI, 8 bits overflow inside x86 kernels"
    )


class Contract(Spec):
    """What the int8 graph may lose, measured on the calibration texts. The build fails beyond it."""

    max_disagreement_rate: float = Field(
        ge=0, le=1, description="share of texts whose predicted label changes"
    )
    max_mean_probability_difference: float = Field(
        gt=0, le=1, description="mean absolute difference of the predicted probability"
    )


class QuantizedSpec(Artifact):
    """Calibrated and checked on rows of a dev split, never on a test split."""

    noun: ClassVar[str] = "quantized"
    numerics: ClassVar[bool] = True
    metrics: ClassVar[bool] = True
    of: Annotated[Ref, To(("exported",))] = Field(description="the graph")
    calibrate: Annotated[Ref, To(("splits",))] = Field(
        description="its dev split gives the calibration texts"
    )
    calibration_rows: int = Field(
        ge=8, le=100_000, description="texts that are drawn from the dev split"
    )
    scheme: Annotated[
        Dynamic | Static, Field(discriminator="kind", description="how numbers become int8")
    ]
    contract: Contract = Field(description="what it may lose; the build fails beyond it")
