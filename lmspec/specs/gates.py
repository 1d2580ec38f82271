"""gates: what a change must not do to a metric. No stage reads them: `lmspec gate` does."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import NAME_PATTERN, Spec, matching
from lmspec.specs.checks import gates as checks

METRIC = rf"^{NAME_PATTERN}\.{NAME_PATTERN}(?:\.[^.\x00-\x1f]+)+$"
RULE = "`noun.name.` and a path that `lmspec diff` shows, such as scores.release.test.accuracy"
Metric = Annotated[str, matching(METRIC, f"{RULE}; `*` stands for every class or table", 500)]
AGAINST_RULE = (
    "`baseline` (the same artifact in the commit that is compared with), `majority` (the constant "
    "answer of the most frequent label) or an artifact of this commit, such as scores.linear"
)
Against = Annotated[
    str, matching(rf"^(?:baseline|majority|{NAME_PATTERN}\.{NAME_PATTERN})$", AGAINST_RULE, 200)
]
HELD_AGAINST = "baseline, majority, or an artifact of this commit that has the same metric"
BASELINE, MAJORITY = "baseline", "majority"
Bound = Annotated[float, Field(ge=-1e15, le=1e15)]
Confidence = Annotated[float, Field(ge=0.5, lt=1)]
OfValue = Annotated[
    Confidence | None,
    Field(description="of a one-sided interval; null: compare the value itself"),
]
OfDifference = Annotated[Confidence, Field(description="of a one-sided interval of the difference")]
Day = Annotated[str, matching(r"^\d{4}-\d{2}-\d{2}$", "a day in quotes, such as '2027-01-31'", 10)]
Share = Annotated[float, Field(ge=0, le=1)]


class Waiver(Spec):
    """Permission to fail, for a while, with a reason and a name."""

    holds = (checks.day_exists, checks.waiver_is_signed)
    reason: str = Field(
        min_length=10, max_length=1000, description="why the change is adopted all the same"
    )
    signed_off_by: str = Field(min_length=2, max_length=200, description="who is responsible")
    until: Day = Field(description="last day on which the waiver is valid")


class Demand(Spec):
    """What every gate has."""

    metric: Metric = Field(
        description="a metric of an artifact; `*`: every class or table, and the worst decides"
    )
    undecided: Literal["fail", "pass"] = Field(
        default="fail", description="what counts if there is too little data to decide"
    )
    waiver: Waiver | None = Field(
        default=None, description="a failure that was signed off; null: none"
    )


class Floor(Demand):
    """The metric must reach a value."""

    kind: Literal["floor"] = Field(description="the metric must not be below a value")
    at_least: Bound = Field(description="lowest value that passes")
    confidence: OfValue = None


class Ceiling(Demand):
    """The metric must stay at or below a value."""

    kind: Literal["ceiling"] = Field(description="the metric must not be above a value")
    at_most: Bound = Field(description="highest value that passes")
    confidence: OfValue = None


class NonInferiority(Demand):
    """The metric must not be worse than another by more than a margin. Source: ICH E9, 3.3.2."""

    kind: Literal["non_inferiority"] = Field(
        description="not worse by more than a margin than what it is held against"
    )
    against: Against = Field(description=HELD_AGAINST)
    margin: float = Field(
        gt=0, le=1e6, description="in the unit of the metric: 0.005 of accuracy is half a point"
    )
    confidence: OfDifference


class Improvement(Demand):
    """The metric must be better than another."""

    kind: Literal["improvement"] = Field(
        description="better by more than an amount than what it is held against"
    )
    against: Against = Field(description=HELD_AGAINST)
    by: float = Field(ge=0, le=1e6, description="in the unit of the metric; 0: by any amount")
    confidence: OfDifference


class NegativeFlipRate(Demand):
    """Few examples that the baseline, or another model, gets right may be wrong.

    Source: Yan et al. 2021, arXiv:2011.09161.
    """

    kind: Literal["negative_flip_rate"] = Field(
        description="share of examples that were right and are wrong now; `metric` is a test split"
    )
    against: Against = Field(description=HELD_AGAINST)
    at_most: Share = Field(description="of all examples of the test split, class or table")
    confidence: Confidence = Field(description="of a one-sided interval of the rate")


class Ratio(Demand):
    """Latency, size or memory may be worse by at most a factor."""

    kind: Literal["ratio"] = Field(
        description="quotient of a latency, throughput, size or memory and that it is held against"
    )
    against: Against = Field(description=HELD_AGAINST)
    tolerance: float = Field(
        ge=0, le=100, description="how much worse it may be: 0.05 is 5 % of the other"
    )
    confidence: Confidence = Field(
        description="of a one-sided interval of the ratio, for what is timed in rounds"
    )


class Gap(Demand):
    """No class or table may fall far behind the best. `metric` contains a `*`."""

    holds = (checks.gap_is_among_several,)
    kind: Literal["gap"] = Field(
        description="between the best and the worst of the classes or tables"
    )
    at_most: Bound = Field(description="largest gap that passes, in the unit of the metric")
    confidence: Confidence = Field(description="of a one-sided interval of the gap")


Comparing = NonInferiority | Improvement | NegativeFlipRate | Ratio
Gate = Annotated[
    Floor | Ceiling | NonInferiority | Improvement | NegativeFlipRate | Ratio | Gap,
    Field(discriminator="kind"),
]
