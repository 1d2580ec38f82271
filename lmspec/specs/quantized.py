"""quantized: a graph in int8, int4 or fp16, checked against the fp32 graph it came from."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import quantized as checks
from lmspec.specs.results import Metric, Of, Table

TOKENS: tuple[Of, ...] = ("tokens",)
SENSITIVITY = Table("sensitivity")  # each matrix product: what it costs, and whether it stays

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
    float_operations: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="so many matrix products stay in fp32: those whose int8 costs most, by the"
        " probabilities of the calibration texts. Without it, none. Source: Wu et al. 2020,"
        " arXiv:2004.09602, section 5.3 (partial quantization)",
    )


class Static(Spec):
    """Weights and activations in int8 with scales from calibration texts: for convolutions."""

    kind: Literal["static"] = Field(description="activation scales are fixed by calibration")
    per_channel: bool = Field(description="one scale per output channel of a weight")
    reduce_range: ReduceRange


class Half(Spec):
    """All numbers in fp16, for cards; the contract is measured on a processor.

    It computes in fp32 between operations, so a card rounds more.
    """

    kind: Literal["fp16"] = Field(description="weights and activations in 16 bits")


class WeightOnly(Spec):
    """Weights in int8 or int4, each block of them with a scale: for models that write.

    They are read for each token, and their size is the time that it takes.
    """

    kind: Literal["weight_only"] = Field(description="weights alone, in blocks")
    bits: Literal[4, 8] = Field(description="of a weight; 4 costs small models much of their skill")
    block: Literal[16, 32, 64, 128] = Field(
        description="weights that share a scale: inputs of one output"
    )
    symmetric: bool = Field(
        description="0 is in the middle of each block's range; else each has a zero point, too"
    )
    head_bits: Literal[4, 8] = Field(description="of the layer that makes the logits")
    embedding_bits: Literal[4, 8] = Field(
        description="of the embedding; a head that is tied to it has the same numbers if it has as"
        " many bits"
    )
    activations: Literal["int8", "float"] = Field(
        description="what weights are multiplied with: int8, with a scale for each block of each"
        " token, is several times as fast"
    )


class Contract(Spec):
    """What quantization may cost, measured on the calibration texts. Beyond it the build fails.

    Of a model that writes, the first two are of learned tokens in place of texts, and all are
    needed; of one that predicts labels, the last is a further one.
    """

    max_disagreement_rate: float = Field(
        ge=0, le=1, description="share of texts whose predicted label changes"
    )
    max_mean_probability_difference: float = Field(
        gt=0, le=1, description="mean absolute difference of the predicted probability"
    )
    max_loss_increase: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="nats a learned token; the upper end of the 95 % interval of the increase must"
        " not exceed it",
    )
    min_greedy_prefix: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="mean share of a greedy answer before its first other token",
    )
    max_batch_difference: float | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="largest difference of a logit that is computed alone and beside others; 0: an"
        " answer does not depend on its company, so that a service may compute texts together",
    )


class QuantizedSpec(Artifact):
    """Calibrated and checked on rows of a dev split, never on a test split."""

    noun = "quantized"
    numerics = True
    origin = "of"
    holds = (checks.contract_is_of_the_scheme,)
    metrics = (
        Metric("disagreement_rate", "lower", share=True),
        Metric("mean_probability_difference", "lower", share=True),
        Metric("loss", of=TOKENS),  # of the graph that is quantized
        Metric("loss_increase", "lower", of=TOKENS),
        Metric("loss_increase_low", of=TOKENS),
        Metric("loss_increase_high", of=TOKENS),
        Metric("greedy_prefix", "higher", share=True, of=TOKENS),
        Metric("batch_difference", "lower"),
        Metric("bytes", "lower", evidence="size"),
        Metric("bytes_before"),
        Metric("quantized_operations"),
    )
    reports = (SENSITIVITY,)
    of: Annotated[Ref, To(("exported",))] = Field(description="the graph to quantize")
    calibrate: Annotated[Ref, To(("splits",), reads=("dev",))] = Field(
        description="splits whose dev split provides the calibration texts"
    )
    calibration_rows: int = Field(
        ge=8, le=100_000, description="number of texts drawn from the dev split"
    )
    scheme: Annotated[
        Dynamic | Static | WeightOnly | Half,
        Field(discriminator="kind", description="how numbers are stored in fewer bits"),
    ]
    contract: Contract = Field(description="what it may lose; beyond it the build fails")

    def modules(self) -> tuple[str, ...]:
        match self.scheme:
            case Half():
                return ("lmspec.methods.halfprecision",)
            case WeightOnly():
                return ("stages.writing_quantized",)
            case Dynamic() if self.scheme.float_operations:
                return ("lmspec.methods.sensitivity",)
        return ()

    def written(self) -> tuple[Table, ...]:
        partial = isinstance(self.scheme, Dynamic) and self.scheme.float_operations
        return (SENSITIVITY,) if partial else ()
