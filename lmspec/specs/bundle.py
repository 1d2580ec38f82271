"""bundle: what is deployed: graph, tokenizer, labels, the code that predicts, a model card."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks.bundle import license_is_an_spdx_expression
from lmspec.specs.checks.templates import dvc_replaces_nothing
from lmspec.specs.scores import GRAPHS
from lmspec.specs.serving import Serving


class BundleSpec(Artifact):
    """A folder that predicts with onnxruntime, tokenizers, ftfy and numpy alone.

    Its code answers as the scores have it: the build compares them on test texts.
    """

    noun = "bundle"
    final = True
    holds = (license_is_an_spdx_expression, dvc_replaces_nothing)
    of: Annotated[Ref, To(GRAPHS)] = Field(description="the graph to deploy")
    scores: Annotated[Ref, To(("scores",))] = Field(
        description="scores of that graph, for the model card"
    )
    title: str = Field(min_length=1, max_length=200, description="heading of the model card")
    license: str = Field(
        min_length=1,
        max_length=100,
        description="SPDX expression of the bundle's license, as Apache-2.0, or LicenseRef-NAME",
    )
    intended_use: str = Field(
        min_length=1, max_length=20_000, description="what to use it for, and what not (Markdown)"
    )
    limitations: str = Field(
        min_length=1, max_length=20_000, description="known failure modes (Markdown)"
    )
    serving: Serving | None = Field(
        default=None, description="limits of `lmspec serve`; null: those of docs/serving.md"
    )
