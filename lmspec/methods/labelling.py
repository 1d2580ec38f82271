"""labelling: the label of a row, from a column or from a score, or why it has none."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from lmspec.specs.corpus import ColumnLabel, ThresholdLabel

NO_LABEL = "no label"
NOT_A_LABEL = "not a label"


@dataclass(frozen=True)
class NoLabel:
    """Why a row has no label. reason: counted in the metrics; detail: the value that caused it."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Whole:
    """Labels that follow from all rows of a table at once, such as of ratings.

    labels   of each row, or why it has none
    beside   name -> a value of each row that is written beside its label
    metrics  of the table
    table    rows of the table in git
    """

    labels: Sequence[str | NoLabel]
    beside: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    table: Sequence[Mapping[str, object]] = ()


def present(value: str | None, missing: Collection[str]) -> str | None:
    """The value of a cell; None if it stands for none."""
    return None if value is None or value.strip() in missing else value


def label_of(
    value: str, rule: ColumnLabel | ThresholdLabel, labels: Collection[str]
) -> str | NoLabel:
    """The label of a value, or why it has none."""
    if isinstance(rule, ThresholdLabel):
        return _by_threshold(value, rule)
    label = rule.as_read(value)
    if rule.rename is not None:
        label = rule.rename.get(label, label)
    return label if label in labels else NoLabel(NOT_A_LABEL, label)


def _by_threshold(value: str, rule: ThresholdLabel) -> str | NoLabel:
    try:
        score = float(value)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        return NoLabel("score is not a number", value)
    for band in rule.bands:
        if band.holds_score(score):
            return band.label
    return NoLabel("score in no band", value)
