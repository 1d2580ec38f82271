"""sweep: a search for the best values of a model's fields, judged on the dev split."""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import sweep as checks
from lmspec.specs.results import WATCHED, Metric, Table

FIELD_RULE = "the path of a field below the model, such as training.optimizer.peak_learning_rate"
FieldPath = Annotated[str, Field(max_length=200, json_schema_extra={"x-rule": FIELD_RULE})]
# int stays int: a range of whole numbers is one of a field that takes these alone
LARGEST = 1e12
Number = Annotated[
    int | float,
    Field(ge=-LARGEST, le=LARGEST),
    WithJsonSchema({"type": "number", "minimum": -LARGEST, "maximum": LARGEST}),
]


class Range(Spec):
    """Numbers between two bounds, both included; fractions are rounded to three digits."""

    holds = (checks.low_is_below_high, checks.logarithms_exist)
    low: Number = Field(description="the smallest value")
    high: Number = Field(description="the largest value")
    log: bool = Field(
        description="all orders of magnitude are equally likely, as suits a learning rate"
    )


Values = Annotated[tuple[Any, ...], Field(strict=False, min_length=1, max_length=1000)]
# language/sweep_rules.py holds each value against its field
Swept = Annotated[Values | Range, Field(json_schema_extra={"x-swept": True})]
TRIALS = Table("trials", {"x": "trial", "template": "scatter", "title": "trials"})
RUNGS = Table("rungs", {"x": "epochs", "template": "scatter", "title": "trials at each rung"})
BEST = Table("best")


class SweepSpec(Artifact):
    """Successive halving: many trials for a few epochs, the better ones of them for more.

    A trial is a training of the model with other values of some fields: what the model's own stage
    would do with them, without export or scores. Its score is that of its best evaluation on the
    dev split, and that of the best of many trials is optimistic: the test split decides.
    Source: Jamieson & Talwalkar 2016, arXiv:1502.07943; optuna, arXiv:1907.10902.
    """

    noun = "sweep"
    numerics = True
    final = True
    metrics = (
        *(Metric(f"best.{name}", better, better == "higher") for name, better in WATCHED.items()),
        Metric("trials"),
        Metric("epochs"),
        Metric("epochs_without_halving"),
        Metric("dev_examples"),
    )
    reports = (TRIALS, RUNGS, BEST)
    holds = (
        checks.something_is_searched,
        checks.rungs_ascend,
        checks.rungs_compare_equal_trainings,
        checks.trials_differ,
    )
    of: Annotated[Ref, To(("model",), section=True)] = Field(
        description="the model whose fields are searched; its values of all other fields are kept"
    )
    over: dict[FieldPath, Swept] = Field(
        description="path of a field below the model -> its values, or a range {low, high, log}",
    )
    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"] = Field(
        description="metric on the dev split that decides; log loss breaks ties"
    )
    sampler: Literal["random", "tpe"] = Field(
        description="random: each trial by itself, of lists no combination twice; tpe: after the"
        " first ten, near those that did well (Parzen estimators, arXiv:2304.11127)"
    )
    trials: int = Field(ge=2, le=10_000, description="number of trials")
    rungs: tuple[Annotated[float, Field(gt=0, lt=1000)], ...] = Field(
        strict=False,
        max_length=20,
        description="epochs after which only the better trials go on, so many that each rung costs"
        " the same; the last ones train to the model's own end. [] if all do",
    )
    seed: int = Field(ge=0, lt=2**32, description="seed of the sampler")

    def written(self) -> tuple[Table, ...]:
        y = {"y": f"dev_{self.metric}"}
        return (
            dataclasses.replace(TRIALS, plot={**TRIALS.plot, **y}),
            dataclasses.replace(RUNGS, plot={**RUNGS.plot, **y}),
            BEST,
        )
