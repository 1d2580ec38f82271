"""targets: what a bundle runs on: each with a graph that has a contract and may have scores."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Ref, Spec, To
from lmspec.specs.scores import GRAPHS


class CpuTarget(Spec):
    """Processors, by what their kernels for int8 need."""

    kind: Literal["cpu"] = Field(description="a processor")
    instructions: Literal["any", "avx2", "vnni"] = Field(
        description="what it must have: vnni (AVX512-VNNI or AVX-VNNI), avx2, or nothing; without"
        " VNNI, x86 kernels overflow with 8-bit weights, so those need `reduce_range`"
    )
    of: Annotated[Ref, To(GRAPHS)] = Field(
        description="its graph, of the model that the bundle is of"
    )
    scores: Annotated[Ref, To(("scores",))] | None = Field(
        default=None, description="scores of that graph, for the model card; null: it has none"
    )


class CudaTarget(Spec):
    """A card of NVIDIA's, with the package onnxruntime-gpu. lmspec has not been tried on one."""

    kind: Literal["cuda"] = Field(description="a card that onnxruntime reaches by CUDA")
    of: Annotated[Ref, To(GRAPHS)] = Field(description="its graph, in fp16 or fp32")
    scores: Annotated[Ref, To(("scores",))] | None = Field(
        default=None, description="scores of that graph, made on a processor; null: it has none"
    )


class BrowserTarget(Spec):
    """A folder with a page that answers without a server, and with onnxruntime-web.

    It is for models that read tokens, not n-grams.
    """

    kind: Literal["browser"] = Field(description="the folder browser/, a page without a server")
    of: Annotated[Ref, To(GRAPHS)] = Field(description="its graph, in int8 or fp32")
    scores: Annotated[Ref, To(("scores",))] | None = Field(
        default=None, description="scores of that graph, made by predict.py; null: it has none"
    )
    runtime: Annotated[Ref, To(("sources",))] = Field(
        description="source with ort.wasm.bundle.min.mjs and ort-wasm-simd-threaded.wasm, of the"
        " npm package onnxruntime-web"
    )
    tokenizers: Annotated[Ref, To(("sources",))] = Field(
        description="source with tokenizers.min.mjs, of the npm package @huggingface/tokenizers"
    )


Target = Annotated[CpuTarget | CudaTarget | BrowserTarget, Field(discriminator="kind")]
