"""student: a smaller transformer, taught by a larger one."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmspec.specs.architecture import Dropout
from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import student as checks
from lmspec.specs.training import Training


class Distillation(Spec):
    """The student's loss is the weighted sum of three; the weights need not sum to one."""

    temperature: float = Field(
        gt=0, le=100, description="of both softmaxes. Source: Hinton et al. 2015, arXiv:1503.02531"
    )
    soft_weight: float = Field(
        ge=0, le=1000, description="of the cross-entropy with the teacher's softened probabilities"
    )
    hidden_weight: float = Field(
        ge=0,
        le=1000,
        description="of the squared distance between normalised [CLS] states. Source: Sun et al. 2019, arXiv:1908.09355",
    )
    hard_weight: float = Field(ge=0, le=1000, description="of the cross-entropy with the labels")


class StudentSpec(Artifact):
    """Starts from some of its teacher's layers, with the teacher's embeddings, tokenizer and length."""

    noun: ClassVar[str] = "student"
    numerics: ClassVar[bool] = True
    metrics: ClassVar[bool] = True
    reports: ClassVar[tuple[str, ...]] = ("curve",)
    holds = (checks.layers_ascend, checks.frozen_layers_exist, checks.something_is_learned)
    teacher: Annotated[Ref, To(("model", "student", "updated"))] = Field(
        description="a transformer"
    )
    on: Annotated[Ref, To(("splits",))] = Field(
        description="taught on the train split, stopped by the dev split"
    )
    layers: tuple[Annotated[int, Field(ge=0, lt=1000)], ...] = Field(
        strict=False,
        min_length=1,
        description="the teacher's layers, from 0 at the bottom, that the student starts from",
    )
    dropout: Dropout = Field(description="of hidden states and attention")
    classifier_dropout: Dropout = Field(description="before the classification layer")
    frozen_embeddings: bool = Field(description="leave the embeddings as they are")
    frozen_layers: int = Field(
        ge=0, le=1000, description="leave that many layers, from the bottom, as they are"
    )
    distillation: Distillation = Field(
        description="what is learned from the teacher, and what from the labels"
    )
    training: Training = Field(description="how the weights are fitted")

    def reads_like(self) -> Ref:
        return self.teacher
