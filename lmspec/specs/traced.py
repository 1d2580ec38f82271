"""traced: where in a network an answer is decided, and what its layers know."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Name, Ref, Spec, To
from lmspec.specs.checks import traced as checks
from lmspec.specs.results import ESTIMATES, Metric, Table
from lmspec.specs.scores import MODELS

RESTORED, PAIRS = Table("restored"), Table("pairs")
CONCEPTS, WEIGHTS = Table("concepts"), Table("weights")
STAGES = {"labels": "stages.traced_classifier", "answers": "stages.traced_writer"}


class OfTables(Spec):
    """Which table of its corpus a text is from."""

    kind: Literal["table"] = Field(description="the table that a text is from")
    name: Name = Field(description="what the concept is called")
    tables: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        strict=False, min_length=2, description="the classes: tables of the corpus"
    )


class OfTerms(Spec):
    """Which of the terms of a suite is in a template."""

    kind: Literal["terms"] = Field(description="the term that a template has in its slot")
    name: Name = Field(description="what the concept is called")
    cases: Inside = Field(description="file of the repository with suites of cases")
    suite: Name = Field(
        description="a suite of kind groups; every second of its templates tests the probe"
    )


class TracedSpec(Artifact):
    """Causal interventions in a network, and what is in its layers.

    Interchange puts hidden states of one text in the place of another's that differs in one word:
    the share of the answer that comes with them is where the decision is. Probes measure what a
    layer knows of a concept, and erasure what is left of the answers without it.
    Sources: Geiger et al. 2021, arXiv:2106.02997; Belrose et al. 2023, arXiv:2306.03819.
    """

    noun = "traced"
    numerics = True
    final = True
    origin = "of"
    metrics = (
        Metric("pairs"),
        Metric("pairs_left_out"),
        *(Metric(f"log_odds.{end}") for end in ESTIMATES),
        Metric("ends.whole"),
        Metric("ends.none"),
        Metric("restored.{depth}.{position}"),
        Metric("concept.{concept}.majority", share=True),
        Metric("concept.{concept}.{layer}.probe", share=True),
        Metric("concept.{concept}.{layer}.erased", share=True),
        *(Metric(f"concept.{{concept}}.{{layer}}.lost.{end}", "lower") for end in ESTIMATES[:1]),
        *(Metric(f"concept.{{concept}}.{{layer}}.lost.{end}") for end in ESTIMATES[1:]),
        Metric("weights.zero", share=True),
        Metric("weights.changed"),
        Metric("units.dead", share=True),
    )
    reports = (RESTORED, PAIRS, CONCEPTS, WEIGHTS)
    holds = (checks.traced_layers_ascend, checks.concepts_each_once, checks.concepts_are_of_labels)
    of: Annotated[Ref, To(MODELS)] = Field(description="the network, of kind transformer or causal")
    answers: Literal["labels", "answers"] = Field(
        description="what the two answers of a pair are: labels of a transformer, or texts that a"
        " causal model may write"
    )
    pairs: Inside = Field(
        description="file of the repository with pairs of texts that differ in one word"
    )
    least_difference: float = Field(
        gt=0,
        le=1000,
        description="of the log odds within a pair, in nats; where the network sees less, there is"
        " no decision to look for, and the pair is left out",
    )
    layers: tuple[Annotated[int, Field(ge=0, le=1000)], ...] = Field(
        strict=False, min_length=1, description="layers that are looked into, counted from 0"
    )
    on: Annotated[Ref, To(("splits",), reads=("train", "test"))] = Field(
        description="splits whose train texts teach probes, and whose test texts measure them;"
        " units are watched on both, of a causal model on test texts"
    )
    texts: int = Field(
        ge=2, le=100_000, description="number of texts of each split, those of the lowest hashes"
    )
    concepts: tuple[
        Annotated[OfTables | OfTerms, Field(discriminator="kind", description="what is known")], ...
    ] = Field(strict=False, description="what the layers of a transformer may know; none, if empty")
    against: Annotated[Ref, To(MODELS)] | None = Field(
        description="the network with which weights are compared, layer by layer: what an update or"
        " pruning changed"
    )
    batch_size: int = Field(ge=1, le=65536, description="texts, or versions of one, at a time")

    def modules(self) -> tuple[str, ...]:
        return (STAGES[self.answers], *("stages.traced_concepts",) * bool(self.concepts))

    def files(self) -> tuple[str, ...]:
        others = (each.cases for each in self.concepts if isinstance(each, OfTerms))
        return tuple(dict.fromkeys((self.pairs, *others)))

    def written(self) -> tuple[Table, ...]:
        return tuple(table for table in self.reports if table is not CONCEPTS or self.concepts)

    def reads_like(self) -> Ref:
        return self.of
