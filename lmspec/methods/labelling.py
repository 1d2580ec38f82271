"""labelling: the label of a row, from a column or from a score, or why it has none."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from lmspec.specs.corpus import ColumnLabel, ThresholdLabel

NO_LABEL = "no label"
NOT_A_LABEL = "not a label"


@dataclass(frozen=True)
class NoLabel:
    """Why a row has no label. reason: counted in the metrics; detail: the value that caused it."""

    reason: str
    detail: str


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
        if (band.at_least is None or score >= band.at_least) and (
            band.at_most is None or score <= band.at_most
        ):
            return band.label
    return NoLabel("score in no band", value)
