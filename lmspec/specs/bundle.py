"""bundle: what is deployed: graph, tokenizer, labels, the code that predicts, a model card."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.card import Card
from lmspec.specs.checks import bundle as checks
from lmspec.specs.checks import targets
from lmspec.specs.checks.templates import dvc_replaces_nothing
from lmspec.specs.generation import Decoding, JsonSchema
from lmspec.specs.names import ArtifactName
from lmspec.specs.scores import ANSWER_TABLE, GRAPHS
from lmspec.specs.serving import Serving
from lmspec.specs.targets import Target


class BundleSpec(Artifact):
    """A folder that predicts with onnxruntime, tokenizers, ftfy and numpy alone.

    Its code answers as the scores have it: the build compares them on test texts. One that writes
    has the same packages, and llguidance for a constraint.
    """

    noun = "bundle"
    final = True
    holds = (
        checks.license_is_an_spdx_expression,
        checks.each_of_beside_once,
        checks.beside_is_of_answers,
        checks.mistakes_are_of_labels,
        checks.card_is_of_labels,
        *targets.CHECKS,
        dvc_replaces_nothing,
    )
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
    mistakes: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="test texts that the model gets wrong, for the page of `lmspec serve`; null:"
        " none, since a bundle travels further than its test texts may",
    )
    attribution: str | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        description="whom the license of data or weights wants named, as `tldr-pages, CC BY 4.0`",
    )
    generation: Decoding | None = Field(
        default=None, description="how predict.py generates answers, of models that write"
    )
    beside: tuple[Annotated[Ref, To(("scores",))], ...] = Field(
        default=(),
        strict=False,
        max_length=16,
        description="further scores on the same splits for the model card, such as those of the"
        " nearest prompt",
    )

    card: Card | None = Field(
        default=None,
        description="a longer model card, and a page of it, from further artifacts; null: a short"
        " one",
    )
    targets: tuple[Target, ...] = Field(
        default=(),
        strict=False,
        max_length=16,
        description="what it runs on, the most demanding first: predict.py and `lmspec serve` take"
        " the first that a machine can run; without any, `of` runs everywhere",
    )

    def modules(self) -> tuple[str, ...]:
        if self.generation is not None:
            return ("stages.writing_bundle",)
        targets = ("stages.targets_bundle",) * bool(self.targets)
        return (*targets, *("stages.card_bundle",) * (self.card is not None))

    def files(self) -> tuple[str, ...]:
        if self.generation is None:
            read = [target.of for target in self.targets]
            read += [self.card.attacked] if self.card and self.card.attacked else []
            return tuple(ArtifactName.parse(name).metrics for name in dict.fromkeys(read))
        names = (ArtifactName.parse(ref) for ref in (self.scores, *self.beside))
        answers = (name.table(ANSWER_TABLE.name) for name in names)
        constraint = self.generation.constraint
        schemas = (constraint.file,) if isinstance(constraint, JsonSchema) else ()
        return (ArtifactName.parse(self.of).metrics, *answers, *schemas)
