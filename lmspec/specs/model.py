"""model: a classifier or a model that writes, fitted to the train split of a dataset."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.adapter import Adapter
from lmspec.specs.architecture import Architecture, Causal, Transformer
from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks import model as checks
from lmspec.specs.results import Metric, Table
from lmspec.specs.training import CURVE, TRAINED, GradientDescent, Training

NGRAMS = Table("ngrams")  # the heaviest of each label, of a linear model
EXAMPLE = Table("example")  # the first training example, and which of its parts are learned


class ModelSpec(Artifact):
    """A model and its tokenizer, saved as safetensors and JSON."""

    noun = "model"
    numerics = True
    metrics = (
        *TRAINED,
        Metric("adapter.trained_parameters"),
        Metric("adapter.max_logit_difference"),
        Metric("adapter.same_answers", share=True, of=("tokens",)),  # greedy, before the merge
        Metric("private.epsilon", "lower"),
        Metric("private.noise_multiplier"),
        Metric("prompt.tokens"),
        Metric("prompt.prior.{label}", share=True),  # what it answers before it is calibrated
    )
    reports = (CURVE, NGRAMS, EXAMPLE)
    holds = (
        checks.training_suits_the_kind,
        checks.method_suits_the_network,
        checks.writers_have_their_own_fields,
        checks.private_rows_stay_hidden,
        checks.tokens_are_learned_as_they_can_be,
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
    architecture: Architecture = Field(description="which kind of model")
    training: Training = Field(description="how the weights are fitted")

    def modules(self) -> tuple[str, ...]:
        writing = ("stages.writing",) * (self.architecture.kind in checks.WRITERS)
        solver = ("lmspec.methods.logistic",) * (self.training.kind == "logistic_regression")
        adapters = ("lmspec.architectures.adapters",) * (self.adapter is not None)
        private = ("lmspec.training.private",) * self.is_private
        prompted = ("stages.prompted",) * (self.architecture.kind == "prompted")
        return (*self.reader_modules(), *writing, *solver, *adapters, *private, *prompted)

    @property
    def is_private(self) -> bool:
        """Is it trained with noise that hides the rows?"""
        return isinstance(self.training, GradientDescent) and self.training.private is not None

    @property
    def adapter(self) -> Adapter | None:
        """What is trained in place of the layers; only a transformer may have one."""
        if isinstance(self.architecture, Transformer | Causal):
            return self.architecture.adapter
        return None

    def written(self) -> tuple[Table, ...]:
        match self.architecture.kind:
            case "linear" | "hybrid":
                return (CURVE, NGRAMS)
            case "causal":
                return (CURVE, EXAMPLE)
            case "nearest" | "prompted":
                return ()
        return (CURVE,)

    def reader_modules(self) -> tuple[str, ...]:
        reader = {"causal": ("lmspec.formats.writer",), "nearest": ("lmspec.formats.nearest",)}
        return (self.architecture.module, *reader.get(self.architecture.kind, ()))
