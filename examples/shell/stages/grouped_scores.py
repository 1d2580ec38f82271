"""grouped_scores: what scores with `groups` have beside others: rates and gaps of groups."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec.errors import LmspecError
from lmspec.methods import disparity
from lmspec.specs.groups import ByColumn, ByTerms, Groups


def measured(
    groups: Groups, frame: pl.DataFrame, labels: tuple[str, ...], seed: int
) -> Mapping[str, Any]:
    """Way to group -> its metrics. frame: the predictions of a dataset, with their texts"""
    if groups.positive not in labels:
        found = f"there is no label {groups.positive!r}"
        raise LmspecError("scores.groups.positive", found, f"name one of {', '.join(labels)}")
    truth, answer = frame["label"].to_numpy(), frame["predicted"].to_numpy()
    answers = disparity.Answers(
        truth == groups.positive, answer == groups.positive, truth == answer, documents(frame)
    )
    return {
        way.name: disparity.measured(answers, members(way, frame, labels), groups.draws, seed)
        for way in groups.by
    }


def members(
    way: ByColumn | ByTerms, frame: pl.DataFrame, labels: tuple[str, ...]
) -> dict[str, NDArray[np.bool_]]:
    """Group -> (n,) whether a text is in it."""
    if isinstance(way, ByTerms):
        texts = frame["text"].to_list()
        return {terms.name: disparity.mentions(texts, terms.words) for terms in way.terms}
    values = labels if way.column == "label" else sorted(set(frame[way.column]))
    column = frame[way.column].to_numpy()
    return {value: column == value for value in values}


def documents(frame: pl.DataFrame) -> NDArray[np.int64]:
    """(n,) number of each text's document; a text without one is its own."""
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(i if group is None else (table, group), len(numbers))
            for i, (table, group) in enumerate(frame.select("table", "group").iter_rows())
        ],
        np.int64,
    )
