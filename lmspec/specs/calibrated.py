"""calibrated: a graph whose probabilities are fitted to a dev split, and which may be unsure."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import calibrated as checks
from lmspec.specs.results import Metric, Table


class Temperature(Spec):
    """Source: Guo et al. 2017, arXiv:1706.04599."""

    kind: Literal["temperature"] = Field(
        description="logits are divided by one number, which changes no label"
    )


class Isotonic(Spec):
    """Source: Zadrozny & Elkan 2002, doi:10.1145/775047.775151."""

    kind: Literal["isotonic"] = Field(
        description="the probability of each label is mapped by a function that never falls, and"
        " all are divided by their sum; that may change a label. Of a thousand rows or more"
    )


class Uncalibrated(Spec):
    """For a graph that only learns when to be unsure."""

    kind: Literal["none"] = Field(description="probabilities stay as they are")


class Conformal(Spec):
    """A label is kept if its probability is at least a threshold; of any but one, it is unsure.

    The threshold is fitted so that the true label of a text like those of the dev split is kept
    with that probability (split conformal prediction). Source: Sadinle et al. 2019,
    doi:10.1080/01621459.2017.1395341.
    """

    coverage: float = Field(
        gt=0,
        lt=1,
        description="probability that the true label is among those that are kept. It is unsure of"
        " what it would answer wrongly only if this is above its accuracy",
    )
    by: Literal["all", "table", "label"] = Field(
        description="one threshold for all texts; one that holds on each table, since a service"
        " does not know from which a text is; or one for each label, which holds for the texts of"
        " each"
    )


class CalibratedSpec(Artifact):
    """The same graph with calibrated probabilities, and the thresholds of its answers.

    Fitted on dev splits, never on a test split; texts are read alone, as a bundle reads them. All
    that takes a graph takes this one: scores, bundles, services and explanations have its
    probabilities, since they are the graph's.
    """

    noun = "calibrated"
    numerics = True
    origin = "of"
    holds = (checks.something_is_fitted, checks.each_dev_once)
    metrics = (
        Metric("rows"),
        Metric("log_loss_before"),
        Metric("log_loss", "lower"),
        Metric("expected_calibration_error_before", share=True),
        Metric("expected_calibration_error", "lower", share=True),
        Metric("temperature"),
        Metric("threshold.{label}", share=True),
        Metric("unsure", "lower", share=True),
    )
    reports = (Table("isotonic", {"x": "probability", "y": "calibrated"}),)
    of: Annotated[Ref, To(("exported", "quantized"))] = Field(
        description="the graph to calibrate, of a model that tells labels apart"
    )
    on: tuple[Annotated[Ref, To(("splits",), reads=("dev",))], ...] = Field(
        strict=False, min_length=1, description="splits to whose dev splits it is fitted"
    )
    method: Annotated[
        Temperature | Isotonic | Uncalibrated,
        Field(discriminator="kind", description="how probabilities are changed"),
    ]
    abstain: Conformal | None = Field(description="when the answer is `unsure`; null: never")

    def written(self) -> tuple[Table, ...]:
        return self.reports * isinstance(self.method, Isotonic)
