"""student: a smaller model, taught by a larger one."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.architecture import Dropout, FrozenEmbeddings, FrozenLayers
from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import student as checks
from lmspec.specs.checks.training import nothing_else_is_private, weights_are_trained_further
from lmspec.specs.results import Metric
from lmspec.specs.training import CURVE, TOKENS, TRAINED, Training


class Distillation(Spec):
    """The loss is a weighted sum of three terms; the weights need not sum to one."""

    temperature: float = Field(
        gt=0,
        le=100,
        description="temperature of both softmaxes. Source: Hinton et al. 2015, arXiv:1503.02531",
    )
    soft_weight: float = Field(
        ge=0, le=1000, description="weight of the cross-entropy with the teacher's soft labels"
    )
    hidden_weight: float = Field(
        ge=0,
        le=1000,
        description="weight of the squared distance between normalised [CLS] states; 0 of models"
        " that write. Source: Sun et al. 2019, arXiv:1908.09355",
    )
    hard_weight: float = Field(
        ge=0, le=1000, description="weight of the cross-entropy with the labels, or the answers"
    )
    top_logits: int | None = Field(
        default=None,
        ge=1,
        le=10**6,
        description="of models that write, and of these alone: so many logits of each learned token"
        " are kept, the largest; all other tokens count as one",
    )
    teacher_answers: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="share of the training rows in which the teacher's own greedy answer is learned"
        " in place of that of the data; without it, of none. Source: Kim & Rush 2016,"
        " arXiv:1606.07947",
    )


class StudentSpec(Artifact):
    """Starts from some of its teacher's layers, and keeps its embeddings, tokenizer and length."""

    noun = "student"
    numerics = True
    origin = "teacher"
    # rows whose answer is the teacher's
    metrics = (*TRAINED, Metric("train.teacher_answers", of=TOKENS))
    reports = (CURVE,)
    holds = (
        checks.layers_ascend,
        checks.frozen_layers_exist,
        checks.something_is_learned,
        weights_are_trained_further,
        nothing_else_is_private,
    )
    teacher: Annotated[Ref, To(("model", "student", "updated"))] = Field(
        description="the transformer, or model that writes, to learn from"
    )
    on: Annotated[Ref, To(("splits", "augmented"), reads=("train", "dev"))] = Field(
        description="splits to train on (train) and to stop early on (dev)"
    )
    rows: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="that many rows of the train split, drawn by `numerics.seed`, of models that"
        " write; without it, all",
    )
    layers: tuple[Annotated[int, Field(ge=0, lt=1000)], ...] = Field(
        strict=False,
        min_length=1,
        description="layers of the teacher to start from, counted from 0 at the bottom",
    )
    dropout: Dropout = Field(description="of hidden states and attention")
    classifier_dropout: Dropout = Field(
        description="before the classification layer; 0 of models that write"
    )
    frozen_embeddings: FrozenEmbeddings
    frozen_layers: FrozenLayers
    distillation: Distillation = Field(
        description="how much is learned from the teacher, and how much from the labels"
    )
    training: Training = Field(description="how the weights are fitted")

    def modules(self) -> tuple[str, ...]:
        return ("stages.writing_student",) * (self.distillation.top_logits is not None)

    def reads_like(self) -> Ref:
        return self.teacher
