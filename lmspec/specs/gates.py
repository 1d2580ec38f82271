"""gates: what a change must not do to a metric. An input of no stage: `lmspec gate` reads what the stages wrote."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import KEY_PATTERN, Spec, matching
from lmspec.specs.checks import gates as checks

METRIC = rf"^{KEY_PATTERN}\.{KEY_PATTERN}(?:\.[^.\x00-\x1f]+)+$"
RULE = "`noun.key.` and the path that `lmspec diff` shows, such as scores.release.test.accuracy"
Metric = Annotated[str, matching(METRIC, f"{RULE}; `*` stands for each class or table", 500)]
Bound = Annotated[float, Field(ge=-1e15, le=1e15)]
Confidence = Annotated[float, Field(ge=0.5, lt=1)]
Day = Annotated[str, matching(r"^\d{4}-\d{2}-\d{2}$", "a day in quotes, such as '2027-01-31'", 10)]
Share = Annotated[float, Field(ge=0, le=1)]


class Waiver(Spec):
    """A failure that somebody answers for, for a while."""

    holds = (checks.day_exists,)
    reason: str = Field(
        min_length=10, max_length=1000, description="why the change is adopted all the same"
    )
    signed_off_by: str = Field(min_length=2, max_length=200, description="who answers for it")
    until: Day = Field(description="the last day on which it holds")


class Demand(Spec):
    """What every gate has."""

    metric: Metric = Field(
        description="a number in an artifact's metrics; `*`: each class or table, and the worst decides"
    )
    undecided: Literal["fail", "pass"] = Field(
        default="fail", description="what too little data for a decision counts as"
    )
    waiver: Waiver | None = Field(
        default=None, description="a failure that is signed off; null: none"
    )


class Floor(Demand):
    """The metric must reach a value."""

    kind: Literal["floor"] = Field(description="the metric must not be below a value")
    at_least: Bound = Field(description="the lowest value that passes")
    confidence: Confidence | None = Field(
        default=None, description="of the one-sided interval; null: the value as it is"
    )


class Ceiling(Demand):
    """The metric must stay below a value."""

    kind: Literal["ceiling"] = Field(description="the metric must not be above a value")
    at_most: Bound = Field(description="the highest value that passes")
    confidence: Confidence | None = Field(
        default=None, description="of the one-sided interval; null: the value as it is"
    )


class NonInferiority(Demand):
    """The change must not make the metric worse by more than a margin. Source: ICH E9, 3.3.2."""

    kind: Literal["non_inferiority"] = Field(
        description="not worse than the baseline by more than a margin"
    )
    margin: float = Field(
        gt=0, le=1e6, description="in the metric's own unit: 0.005 of accuracy is half a point"
    )
    confidence: Confidence = Field(description="of the one-sided interval of the difference")


class Improvement(Demand):
    """The change must make the metric better."""

    kind: Literal["improvement"] = Field(
        description="better than the baseline by more than an amount"
    )
    by: float = Field(ge=0, le=1e6, description="in the metric's own unit; 0: by anything")
    confidence: Confidence = Field(description="of the one-sided interval of the difference")


class NegativeFlipRate(Demand):
    """Few of the examples that were right may be wrong now. Source: Yan et al. 2021, arXiv:2011.09161."""

    kind: Literal["negative_flip_rate"] = Field(
        description="share of examples that were right and now are wrong; `metric`: a test split"
    )
    at_most: Share = Field(description="of all examples of the test split, class or table")
    confidence: Confidence = Field(description="of the one-sided interval of the rate")


class Ratio(Demand):
    """Latency, size or memory may grow by so much."""

    kind: Literal["ratio"] = Field(description="new / old of a latency, throughput, size or memory")
    tolerance: float = Field(
        ge=0, le=100, description="how much worse it may be: 0.05 is a twentieth of the old value"
    )
    confidence: Confidence = Field(
        description="of the one-sided interval of the ratio, for what is measured in rounds"
    )


class Gap(Demand):
    """No class or table may fall far behind the best. `metric` holds a `*`."""

    holds = (checks.gap_is_among_several,)
    kind: Literal["gap"] = Field(
        description="between the best and the worst of the classes or tables"
    )
    at_most: Bound = Field(description="the largest gap that passes, in the metric's own unit")
    confidence: Confidence = Field(description="of the one-sided interval of the gap")


Gate = Annotated[
    Floor | Ceiling | NonInferiority | Improvement | NegativeFlipRate | Ratio | Gap,
    Field(discriminator="kind"),
]
