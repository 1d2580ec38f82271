"""examined: how a model behaves in small tests: negation, names, typos, groups of people."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Ref, To
from lmspec.specs.generation import Decoding, JsonSchema
from lmspec.specs.results import Metric, Table
from lmspec.specs.scores import DECODER, GRAPHS, MODELS, format_of

TORCH, CONSTRAINING = "lmspec.writing.torchdecoder", "lmspec.writing.constraining"


class ExaminedSpec(Artifact):
    """The share of cases that pass in each suite of a file, and how far groups are apart.

    A case is a text with its label, or two texts that differ in one thing. Each is repaired and
    read alone, as a bundle does it. Of a model that writes, a case is a prompt, and passes by what
    its answer has or has not. Source: Ribeiro et al. 2020, arXiv:2005.04118.
    """

    noun = "examined"
    numerics = True
    final = True
    origin = "of"
    metrics = (
        Metric("{suite}.pass_rate", "higher", True, "predictions"),
        Metric("{suite}.cases"),
        Metric("{terms}.gap", "lower", True, "predictions"),
        Metric("{terms}.templates"),
    )
    reports = (Table("cases"),)
    of: Annotated[Ref, To(MODELS + GRAPHS)] = Field(description="the model or graph to examine")
    cases: Inside = Field(description="file of the repository with suites of cases")
    on: Annotated[Ref, To(("splits",), reads=("test",))] = Field(
        description="splits whose test texts are changed, in suites without templates"
    )
    rows: int = Field(
        ge=1, le=1_000_000, description="that many test texts, drawn by `seed`; all, if fewer"
    )
    seed: int = Field(
        ge=0, lt=2**31, description="of the draws of texts, and of what is changed in each"
    )

    generation: Decoding | None = Field(
        default=None, description="how answers are generated, of models that write; needed there"
    )

    def modules(self) -> tuple[str, ...]:
        if self.generation is None:
            return (format_of(self.of),)
        reader = TORCH if self.of.noun in MODELS else DECODER
        constrained = (CONSTRAINING,) * (self.generation.constraint is not None)
        return ("stages.examined_writer", reader, *constrained)

    def files(self) -> tuple[str, ...]:
        constraint = None if self.generation is None else self.generation.constraint
        return (self.cases, *([constraint.file] if isinstance(constraint, JsonSchema) else []))

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None
