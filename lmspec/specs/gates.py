"""gates: what a change must not do to a metric. An input of no stage: `lmspec gate` reads what the stages wrote."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import KEY_PATTERN, Spec, matching

METRIC = rf"^{KEY_PATTERN}\.{KEY_PATTERN}(?:\.[^.\x00-\x1f]+)+$"
Metric = Annotated[
    str, matching(METRIC, "`noun.key.` and the path that `lmspec diff` shows, such as scores.release.test.accuracy", 500)
]
Bound = Annotated[float, Field(ge=-1e15, le=1e15)]


class Floor(Spec):
    """The metric must reach a value."""

    kind: Literal["floor"] = Field(description="the metric must not be below a value")
    metric: Metric = Field(description="a number that an artifact's metrics hold")
    at_least: Bound = Field(description="the lowest value that passes")


class Ceiling(Spec):
    """The metric must stay below a value."""

    kind: Literal["ceiling"] = Field(description="the metric must not be above a value")
    metric: Metric = Field(description="a number that an artifact's metrics hold")
    at_most: Bound = Field(description="the highest value that passes")


Gate = Annotated[Floor | Ceiling, Field(discriminator="kind")]
