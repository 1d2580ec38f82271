"""model: a classifier or a model that writes, fitted to the train split of a dataset."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.adapter import Adapter
from lmspec.specs.architecture import Architecture, Causal, Transformer
from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import model as checks
from lmspec.specs.results import Metric, Table
from lmspec.specs.training import CURVE, TRAINED, Contrastive, GradientDescent, Training, head

NGRAMS = Table("ngrams")  # the heaviest of each label, of a linear model
EXAMPLE = Table("example")  # the first training example, and which of its parts are learned

# rows of the pool that were learned, by round and label
SELF_TRAINING = Table("self_training")


class SelfTraining(Spec):
    """Rows of a pool get the label of which the model is sure, and it is fitted again with them.

    Their own labels, where the pool has any, are only compared with these. Source: Yarowsky 1995,
    doi:10.3115/981658.981684.
    """

    pool: Annotated[Ref, To(("corpus",))] = Field(
        description="the corpus that rows are taken of, whether it has labels or not; no dev or"
        " test row of `on` may be in it"
    )
    confidence: float = Field(
        gt=0, lt=1, description="a row is taken if its most probable label reaches this probability"
    )
    per_label: int = Field(
        ge=1, le=10**6, description="at most that many rows of each label, the surest ones"
    )
    rounds: int = Field(
        ge=1, le=20, description="how often rows are taken, each time of the whole pool, and fitted"
    )


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
        Metric("contrastive.steps"),
        Metric("contrastive.loss", "lower"),  # mean over the steps
        Metric("self_training.pool"),
        Metric("self_training.known"),  # rows of the pool whose text has a label already
        Metric("self_training.rows"),
        Metric("self_training.mean_confidence", share=True),
        Metric("self_training.agreement", share=True),  # with the labels that the pool has
    )
    reports = (CURVE, NGRAMS, EXAMPLE, SELF_TRAINING)
    holds = (
        checks.training_suits_the_kind,
        checks.method_suits_the_network,
        checks.writers_have_their_own_fields,
        checks.private_rows_stay_hidden,
        checks.tokens_are_learned_as_they_can_be,
        checks.a_head_learns_from_the_pool,
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
    self_training: SelfTraining | None = Field(
        default=None,
        description="rows without labels that are learned, too, of models that are fitted by"
        " logistic_regression or contrastive; without it, none",
    )

    def modules(self) -> tuple[str, ...]:
        writing = ("stages.writing",) * (self.architecture.kind in checks.WRITERS)
        solver = ("lmspec.methods.logistic",) * (head(self.training) is not None)
        pairs = ("lmspec.training.contrasting",) * isinstance(self.training, Contrastive)
        pool = ("stages.self_training",) * (self.self_training is not None)
        adapters = ("lmspec.architectures.adapters",) * (self.adapter is not None)
        private = ("lmspec.training.private",) * self.is_private
        prompted = ("stages.prompted",) * (self.architecture.kind == "prompted")
        fitted = (*writing, *solver, *pairs, *pool)
        return (*self.reader_modules(), *fitted, *adapters, *private, *prompted)

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
        pool = (SELF_TRAINING,) * (self.self_training is not None)
        match self.architecture.kind:
            case "linear" | "hybrid":
                return (CURVE, NGRAMS, *pool)
            case "causal":
                return (CURVE, EXAMPLE)
            case "nearest" | "prompted":
                return ()
        return (CURVE, *pool)

    def reader_modules(self) -> tuple[str, ...]:
        reader = {"causal": ("lmspec.formats.writer",), "nearest": ("lmspec.formats.nearest",)}
        return (self.architecture.module, *reader.get(self.architecture.kind, ()))
