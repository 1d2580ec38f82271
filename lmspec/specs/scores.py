"""scores: how well any model or graph answers on the test splits of any datasets."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import scores as checks
from lmspec.specs.generation import Choosing, Generation, JsonSchema
from lmspec.specs.groups import Groups
from lmspec.specs.names import MetricPath
from lmspec.specs.results import COVERAGE, HEADLINES, Metric, Of, Table

MODELS = ("model", "student", "updated")
CALIBRATED = "calibrated"
GRAPHS = ("exported", "quantized", CALIBRATED)
FOLDS = "folds"  # their rows are answered already
LABELS: tuple[Of, ...] = ("labels",)
ANSWERS: tuple[Of, ...] = ("answers",)
LIKELIHOODS: tuple[Of, ...] = ("likelihoods",)
CHOICES: tuple[Of, ...] = ("choices",)
SCORED = (
    Metric("accuracy", "higher", True, "predictions", of=("labels", "choices")),
    Metric("accuracy_per_byte", "higher", True, "predictions", of=CHOICES),
    Metric("macro_f1", "higher", True, "predictions", of=LABELS),
    Metric("exact_match", "higher", True, "predictions", of=ANSWERS),
    Metric("bleu", "higher", False, "predictions", of=ANSWERS),
    Metric("chrf", "higher", False, "predictions", of=ANSWERS),
    Metric("rouge_l", "higher", True, "predictions", of=ANSWERS),
    Metric("log_loss", "lower", False, "predictions", of=("labels", "likelihoods", "choices")),
    Metric("bits_per_byte", "lower", False, "predictions", of=LIKELIHOODS),
    Metric("balanced_accuracy", "higher", True, "predictions", of=LABELS),
    Metric("expected_calibration_error", "lower", True, "predictions", of=LABELS),
    Metric("examples"),
    Metric("f1.{label}", "higher", True, "predictions", of=LABELS),
    # of the project; the stage reports the direction of each
    Metric("own.{own}", "higher", False, "predictions", of=ANSWERS),
)
# Facts about generated answers and their references.
WRITTEN = (
    Metric("tokens", of=LIKELIHOODS),  # of references, their ends included
    Metric("perplexity", of=LIKELIHOODS),
    Metric("mean_new_tokens", of=LIKELIHOODS),
    Metric("stopped.end", share=True, of=LIKELIHOODS),
    Metric("stopped.stop", share=True, of=LIKELIHOODS),
    Metric("stopped.limit", share=True, of=LIKELIHOODS),
    Metric("refusals", share=True, of=ANSWERS),
    Metric("repetitions", share=True, of=ANSWERS),
    Metric("empty", share=True, of=ANSWERS),
)
CHOSEN = ("accuracy", "accuracy_per_byte", "log_loss")  # the same of choices
GENERATED = ("exact_match", "bleu", "chrf")  # what `dvc metrics show` prints of answers
TABLES = (
    Table(
        "confusion",
        {
            "x": "examples",
            "y": "predicted",
            "template": "bar_horizontal",
            "title": "predicted",
        },
    ),
    Table(
        "predictions",
        {"x": "label", "y": "predicted", "template": "confusion", "title": "confusion"},
    ),
)
ANSWER_TABLE, CHOICE_TABLE = Table("answers"), Table("choices")
# Of a calibrated graph: how right it is of the texts that it is surest of.
RISK_TABLE = Table(
    "risk", {"x": "answered", "y": "risk", "template": "linear", "title": "risk and coverage"}
)
# Of one that may be unsure, with exact 95 % intervals: how often the true label is kept, how often
# it is unsure, and how often it is right where it is not.
ABSTENTION = ("coverage", "unsure", "accuracy")
SHARE = ("share", "low", "high")
# Of groups of texts: methods/disparity.py.
RATES = ("accuracy", "positive_rate", "false_positive_rate", "false_negative_rate")
GROUPED = ("of.{group}", "gap")
DECODER = "lmspec.formats.decoder"  # reads graphs of models that write
GRADING = "lmspec.writing.grading"  # calls the functions of a project


def format_of(ref: Ref) -> str:
    """The module that reads a model or a graph.

    Scoring a graph needs no torch, and no edit of the readers of models reruns it.
    """
    return "lmspec.formats.checkpoint" if ref.noun in MODELS else "lmspec.formats.graph"


class AcceptedOverlap(Spec):
    """Test examples that the model has seen, and that may count all the same."""

    of: Annotated[Ref, To(("splits", "corpus"))] = Field(
        description="data that the model was trained, stopped early or calibrated on"
    )
    at_most: int = Field(
        ge=1, le=10**9, description="this many test examples of all of `on`; more fail the build"
    )
    reason: str = Field(
        min_length=1, max_length=2000, description="why they may count; the model card states it"
    )


class ScoresSpec(Artifact):
    """Metrics per dataset and table, a confusion table, and the prediction for each example.

    A paired test of two commits needs the predictions. The build fails if the model, or what it
    was made from, was trained, stopped early or calibrated on a test example.
    """

    noun = "scores"
    numerics = True
    final = True
    origin = "of"
    metrics = (
        *(
            dataclasses.replace(metric, path=f"{part}.{metric.path}")
            for part in ("{dataset}", "{dataset}.table.{table}")
            for metric in SCORED
        ),
        Metric("{dataset}.overlap", "lower", evidence="count"),
        Metric("{dataset}.majority.accuracy", share=True, of=LABELS),
        Metric("{dataset}.chance", share=True, of=CHOICES),
        Metric("{dataset}.predicted_labels", of=LABELS),
        Metric("{dataset}.empty_labels", of=LABELS),
        *(
            dataclasses.replace(metric, path=f"{{dataset}}.{metric.path}", of=LABELS)
            for metric in COVERAGE
        ),
        *(dataclasses.replace(metric, path=f"{{dataset}}.{metric.path}") for metric in WRITTEN),
        Metric("{dataset}.uncalibrated.log_loss"),
        Metric("{dataset}.uncalibrated.expected_calibration_error", share=True),
        Metric("{dataset}.groups.{way}.of.{group}.texts"),
        *(
            Metric(f"{{dataset}}.groups.{{way}}.{part}.{rate}.{end}", share=True)
            for part in GROUPED
            for rate in RATES
            for end in SHARE
        ),
        *(
            Metric(f"{part}.abstention.{name}.{end}", share=True)
            for part in ("{dataset}", "{dataset}.table.{table}")
            for name in ABSTENTION
            for end in SHARE
        ),
    )
    reports = (*TABLES, ANSWER_TABLE, CHOICE_TABLE, RISK_TABLE)
    holds = (
        checks.each_splits_once,
        checks.each_overlap_once,
        checks.one_way_to_score,
        checks.groups_are_of_labels,
    )
    of: Annotated[Ref, To((*MODELS, *GRAPHS, FOLDS))] = Field(
        description="the model or graph to score, or the folds whose answers are scored"
    )
    on: tuple[Annotated[Ref, To(("splits",), reads=("test",))], ...] = Field(
        strict=False,
        min_length=1,
        description="splits whose test split it is scored on; of folds those that they are of,"
        " every row of which is scored",
    )
    batch_size: int = Field(
        ge=1,
        le=65536,
        description="texts of similar length scored together; with int8 it changes the bits. Of"
        " models that write: answers that are generated side by side, which changes none. Of folds:"
        " nothing, they have answered",
    )
    calibration_bins: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="equal-width bins of the expected calibration error, of models that tell labels"
        " apart",
    )
    generation: Generation | None = Field(
        default=None, description="how answers are generated, of models that write"
    )
    choices: Choosing | None = Field(
        default=None,
        description="how models that write choose among given answers, by their likelihood",
    )
    groups: Groups | None = Field(
        default=None,
        description="groups of test texts, of models that tell labels apart: how often each gets an"
        " answer, rightly or wrongly, and how far groups are apart",
    )
    accepted_overlap: tuple[AcceptedOverlap, ...] = Field(
        strict=False, description="test examples that the model has seen, and that may count"
    )

    def modules(self) -> tuple[str, ...]:
        if self.choices is not None:
            return ("stages.choosing_scores", *self._readers())
        if self.generation is None:
            calibrated = ("stages.calibrated_scores",) * self._is_calibrated()
            grouped = ("stages.grouped_scores",) * (self.groups is not None)
            reader = "stages.folded_scores" if self.of.noun == FOLDS else format_of(self.of)
            return (reader, *calibrated, *grouped)
        constrained = ("lmspec.writing.constraining",) * (self.generation.constraint is not None)
        own = tuple(metric.module for metric in self.generation.own)
        graded = (*(GRADING,) * bool(own), *own)
        return ("stages.writing_scores", *self._readers(), *constrained, *graded)

    def _readers(self) -> tuple[str, ...]:
        return ("lmspec.writing.torchdecoder" if self.of.noun in MODELS else DECODER,)

    def files(self) -> tuple[str, ...]:
        constraint = None if self.generation is None else self.generation.constraint
        return (constraint.file,) if isinstance(constraint, JsonSchema) else ()

    def written(self) -> tuple[Table, ...]:
        if self.choices is not None:
            return (CHOICE_TABLE,)
        if self.generation is None:
            return (*TABLES, *(RISK_TABLE,) * self._is_calibrated())
        return (ANSWER_TABLE,)

    def _is_calibrated(self) -> bool:
        return self.of.noun == CALIBRATED

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None

    def examined(self) -> Ref | None:
        return self.of

    def headlines(self) -> Mapping[str, Mapping[str, MetricPath]]:
        shown = tuple(HEADLINES) if self.generation is None else GENERATED
        shown = CHOSEN if self.choices is not None else shown
        return {str(ref.name): {name: (ref.name, name) for name in shown} for ref in self.on}
