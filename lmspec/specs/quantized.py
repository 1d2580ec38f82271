"""quantized: a graph in int8, checked against the fp32 graph it came from."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.results import Metric

ReduceRange = Annotated[
    bool, Field(description="7-bit weights: 8 bits overflow in x86 kernels without VNNI")
]


class Dynamic(Spec):
    """Weights in int8, activations quantized at run time with a scale per tensor.

    For transformers and LSTMs.
    """

    kind: Literal["dynamic"] = Field(description="activation scales are computed at run time")
    per_channel: bool = Field(
        description="one scale per output of a weight matrix instead of one per matrix"
    )
    reduce_range: ReduceRange


class Static(Spec):
    """Weights and activations in int8 with scales from calibration texts: for convolutions."""

    kind: Literal["static"] = Field(description="activation scales are fixed by calibration")
    per_channel: bool = Field(description="one scale per output channel of a weight")
    reduce_range: ReduceRange


class Contract(Spec):
    """What quantization may cost, measured on the calibration texts. Beyond it the build fails."""

    max_disagreement_rate: float = Field(
        ge=0, le=1, description="share of texts whose predicted label changes"
    )
    max_mean_probability_difference: float = Field(
        gt=0, le=1, description="mean absolute difference of the predicted probability"
    )


class QuantizedSpec(Artifact):
    """Calibrated and checked on rows of a dev split, never on a test split."""

    noun = "quantized"
    numerics = True
    origin = "of"
    metrics = (
        Metric("disagreement_rate", "lower", share=True),
        Metric("mean_probability_difference", "lower", share=True),
        Metric("bytes", "lower", evidence="size"),
        Metric("bytes_before"),
        Metric("quantized_operations"),
    )
    of: Annotated[Ref, To(("exported",))] = Field(description="the graph to quantize")
    calibrate: Annotated[Ref, To(("splits",), reads=("dev",))] = Field(
        description="splits whose dev split provides the calibration texts"
    )
    calibration_rows: int = Field(
        ge=8, le=100_000, description="number of texts drawn from the dev split"
    )
    scheme: Annotated[
        Dynamic | Static, Field(discriminator="kind", description="how numbers become int8")
    ]
    contract: Contract = Field(description="what it may lose; beyond it the build fails")
