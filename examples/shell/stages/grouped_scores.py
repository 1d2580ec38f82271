"""grouped_scores: what scores with `groups` have beside others: rates and gaps of groups."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.methods import disparity, mentioning, shares
from lmspec.specs.groups import ByColumn, ByTerms, Groups


def measured(
    groups: Groups,
    frame: pl.DataFrame,
    test: pl.DataFrame,
    labels: tuple[str, ...],
    seed: int,
) -> Mapping[str, Any]:
    """Way to group -> its metrics.

    frame  the predictions of a dataset, with their texts
    test   its test split, in the same order, with what the corpus keeps of each row
    """
    if groups.positive not in labels:
        found = f"there is no label {groups.positive!r}"
        raise LmspecError("scores.groups.positive", found, f"name one of {', '.join(labels)}")
    truth, answer = frame["label"].to_numpy(), frame["predicted"].to_numpy()
    documents = shares.documents(frame["group"].to_list())
    answers = disparity.Answers(
        truth == groups.positive, answer == groups.positive, truth == answer, documents
    )
    rates = {
        way.name: disparity.measured(answers, members(way, frame, test, labels), groups.draws, seed)
        for way in groups.by
    }
    for name, metrics in rates.items():
        if empty := [group for group, one in metrics["of"].items() if not one["texts"]]:
            stage.say(f"warning: no test text is in the groups of {name}: {some(empty)}")
    return rates


def members(
    way: ByColumn | ByTerms, frame: pl.DataFrame, test: pl.DataFrame, labels: tuple[str, ...]
) -> dict[str, NDArray[np.bool_]]:
    """Group -> (n,) whether a text is in it. Raises LmspecError if the corpus lacks the column."""
    if isinstance(way, ByTerms):
        texts = frame["text"].to_list()
        return {terms.name: mentioning.mentions(texts, terms.words) for terms in way.terms}
    if way.values is not None:
        if way.column not in test.columns:
            found = f"its corpus keeps no column {way.column!r}"
            remedy = "add it to `keep` of the corpus's tables"
            raise LmspecError(f"scores.groups.by.{way.name}.column", found, remedy)
        kept = test[way.column].fill_null("").to_numpy()
        return {value: kept == value for value in way.values}
    values = labels if way.column == "label" else sorted(set(frame[way.column]))
    column = frame[way.column].to_numpy()
    return {value: column == value for value in values}
