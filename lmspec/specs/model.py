"""model: a classifier, fitted to the train split of a dataset."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.adapter import Adapter
from lmspec.specs.architecture import Architecture, Transformer
from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks import model as checks
from lmspec.specs.results import Metric, Table
from lmspec.specs.training import CURVE, TRAINED, Training

NGRAMS = Table("ngrams")  # the heaviest of each label, of a linear model


class ModelSpec(Artifact):
    """A classifier and its tokenizer, saved as safetensors and JSON."""

    noun = "model"
    numerics = True
    metrics = (
        *TRAINED,
        Metric("adapter.trained_parameters"),
        Metric("adapter.max_logit_difference"),
    )
    reports = (CURVE, NGRAMS)
    holds = (checks.training_suits_the_kind, checks.method_suits_the_network)
    on: Annotated[Ref, To(("splits",), reads=("train", "dev"))] = Field(
        description="splits to train on (train) and to stop early on (dev)"
    )
    architecture: Architecture = Field(description="which kind of model")
    training: Training = Field(description="how the weights are fitted")

    def modules(self) -> tuple[str, ...]:
        solver = ("lmspec.methods.logistic",) * (self.training.kind == "logistic_regression")
        adapters = ("lmspec.architectures.adapters",) * (self.adapter is not None)
        return (self.architecture.module, *solver, *adapters)

    @property
    def adapter(self) -> Adapter | None:
        """What is trained in place of the layers; only a transformer may have one."""
        return self.architecture.adapter if isinstance(self.architecture, Transformer) else None

    def written(self) -> tuple[Table, ...]:
        return self.reports if self.architecture.kind in ("linear", "hybrid") else (CURVE,)

    def reader_modules(self) -> tuple[str, ...]:
        return (self.architecture.module,)
