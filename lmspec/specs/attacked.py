"""attacked: what the answers of a model say of whether a text was among those it was trained on."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.results import Metric, Table
from lmspec.specs.scores import DECODER, GRAPHS, MODELS, format_of

ATTACKS = ("confidence", "reference")
MEASURED = ("auc", "tpr")
WRITER = ("lmspec.formats.writer", "lmspec.writing.torchdecoder")  # read models that write


class Extraction(Spec):
    """Is a train text written verbatim from its beginning?

    Source: Carlini et al. 2023, arXiv:2202.07646 (k-extractable); 2021, arXiv:2012.07805.
    """

    learned_rows: int | None = Field(
        ge=1,
        le=10**9,
        description="`rows` of the model that learned `on`: those alone are train texts; null: all",
    )
    prefix_tokens: int = Field(
        ge=0,
        le=4096,
        description="tokens of the answer that are given, after its prompt; of plain text, of its"
        " beginning",
    )
    tokens: int = Field(
        ge=1, le=4096, description="tokens that must follow as they are; shorter texts do not count"
    )


class AttackedSpec(Artifact):
    """Membership inference: train texts are distinguished from test texts by the model's answers.

    By the probability of the label (Yeom et al. 2018, arXiv:1709.01604), by how much it is above
    that of a reference model (Watson et al. 2021, arXiv:2111.08440), and by canaries: planted texts
    whose rank among such that were not planted says how far they are remembered (Carlini et al.
    2019, arXiv:1802.08232). Of a model that writes by the log probability of a token of its answer,
    and by what it writes verbatim.
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
        *(
            metric
            for side in ("train", "test")
            for metric in (
                Metric(f"extraction.{side}", "lower" if side == "train" else None, True),
                Metric(f"extraction.{side}_low", share=True),
                Metric(f"extraction.{side}_high", "lower" if side == "train" else None, True),
                Metric(f"extraction.{side}_texts"),
            )
        ),
        Metric("extraction.difference", "lower"),
        Metric("extraction.difference_low"),
        Metric("extraction.difference_high", "lower"),
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

    extraction: Extraction | None = Field(
        default=None,
        description="of models that write, and needed there: are train texts written verbatim?",
    )

    def modules(self) -> tuple[str, ...]:
        both = (self.of, *([self.reference] if self.reference else []))
        if self.extraction is None:
            return tuple(dict.fromkeys(format_of(ref) for ref in both))
        readers = (WRITER if ref.noun in MODELS else (DECODER,) for ref in both)
        modules = (module for reader in readers for module in reader)
        return ("stages.attacked_writer", *dict.fromkeys(modules))

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None
