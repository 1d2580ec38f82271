"""labelling: the label of a row, from a column or from a score, or why it has none."""

import math
from dataclasses import dataclass

from lmspec.specs.corpus import ColumnLabel, ThresholdLabel

NOT_A_LABEL = "not a label"


@dataclass(frozen=True)
class NoLabel:
    """Why a row has no label. reason: counted in the metrics; detail: the value that caused it."""

    reason: str
    detail: str


def label_of(
    value: str | None, rule: ColumnLabel | ThresholdLabel, labels: tuple[str, ...]
) -> str | NoLabel:
    """The label of a value, or why it has none."""
    if value is None:
        return NoLabel("no value for the label", rule.column)
    if isinstance(rule, ThresholdLabel):
        return _by_threshold(value, rule)
    label = value if rule.rename is None else rule.rename.get(value, value)
    return label if label in labels else NoLabel(NOT_A_LABEL, value)


def _by_threshold(value: str, rule: ThresholdLabel) -> str | NoLabel:
    try:
        score = float(value)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        return NoLabel("score is not a number", value)
    for band in rule.bands:
        if (band.at_least is None or score >= band.at_least) and (
            band.at_most is None or score <= band.at_most
        ):
            return band.label
    return NoLabel("score in no band", value)
