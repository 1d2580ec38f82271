"""attacked: what the answers of a model say of whether a text was among those it was trained on."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.results import Metric, Table
from lmspec.specs.scores import GRAPHS, MODELS, format_of

ATTACKS = ("confidence", "reference")
MEASURED = ("auc", "tpr")


class AttackedSpec(Artifact):
    """Membership inference: train texts are distinguished from test texts by the model's answers.

    By the probability of the label (Yeom et al. 2018, arXiv:1709.01604), by how much it is above
    that of a reference model (Watson et al. 2021, arXiv:2111.08440), and by canaries: planted texts
    whose rank among such that were not planted says how far they are remembered (Carlini et al.
    2019, arXiv:1802.08232).
    """

    noun = "attacked"
    numerics = True
    final = True
    origin = "of"
    metrics = (
        *(
            metric
            for attack in ATTACKS
            for name in MEASURED
            for metric in (
                Metric(f"{attack}.{name}", "lower", True),
                Metric(f"{attack}.{name}_low", share=True),
                Metric(f"{attack}.{name}_high", "lower", True),
            )
        ),
        Metric("members"),
        Metric("others"),
        Metric("canaries.exposure", "lower"),
        Metric("canaries.exposure_low"),
        Metric("canaries.exposure_high", "lower"),
        Metric("canaries.highest"),
        Metric("canaries.planted"),
        Metric("canaries.candidates"),
    )
    reports = (Table("texts"),)
    of: Annotated[Ref, To(MODELS + GRAPHS)] = Field(description="the model or graph to attack")
    on: Annotated[Ref, To(("splits",), reads=("train", "test"))] = Field(
        description="splits that it was trained on: which of their texts are train texts?"
    )
    rows: int = Field(
        ge=2, le=1_000_000, description="that many of each split, drawn by `seed`; all, if fewer"
    )
    seed: int = Field(ge=0, lt=2**31, description="of the draws of texts, and of the bootstrap")
    reference: Annotated[Ref, To(MODELS + GRAPHS)] | None = Field(
        default=None,
        description="a model that saw neither split: how hard a text is for it is taken off;"
        " without it, the model's own answers are all that is used",
    )
    canaries: str | None = Field(
        default=None,
        min_length=1,
        max_length=60,
        description="name of a table of the corpus that was made to be remembered: its train rows"
        " are planted, its test rows are what they are ranked among; without it, none are",
    )

    def modules(self) -> tuple[str, ...]:
        both = (self.of, *([self.reference] if self.reference else []))
        return tuple(dict.fromkeys(format_of(ref) for ref in both))

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None
