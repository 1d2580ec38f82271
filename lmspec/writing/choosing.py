"""choosing: which of several answers a model finds most likely: the table that git keeps, metrics.

    chosen = [choosing.Chosen(id, table, group, choices, right, log_likelihoods), ...]
    rows = choosing.rows(dataset, chosen)
    stage.Report({dataset: choosing.metrics(chosen, rows)}, {"choices": rows})

A row has no text: hashes say which choice is right and which ones are picked.
Source: lm-evaluation-harness, whose `acc` and `acc_bytes` are the two accuracies here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmspec.writing import answers, measuring
from lmspec.writing.answers import Sums
from lmspec.writing.measuring import Floats

PER_BYTE = "predicted_per_byte"
COLUMNS = ("dataset", "id", "table", "group", "label", "predicted", PER_BYTE, "choices", "nll")
# The likelihood of each choice is in the output of the scores: `data/scores/NAME/choices.parquet`.
FILE = "choices.parquet"
DIGITS = 6


@dataclass(frozen=True)
class Chosen:
    """A row with several answers to choose from.

    choices          their texts, no two alike
    right            index of the right one
    log_likelihoods  nats: log probability of each after the prompt, by the model
    """

    id: str
    table: str
    group: str | None
    choices: Sequence[str]
    right: int
    log_likelihoods: Sequence[float]

    @property
    def picked(self) -> int:
        """Index of the most likely choice."""
        return self._best(self.log_likelihoods)

    @property
    def picked_per_byte(self) -> int:
        """Index of the one that is most likely for its length, in bytes of UTF-8."""
        sizes = [len(text.encode("utf-8", "surrogatepass")) for text in self.choices]
        each = zip(self.log_likelihoods, sizes, strict=True)
        return self._best([value / size for value, size in each])

    @property
    def nll(self) -> float:
        """Nats: minus the log probability of the right choice, if one of them is written."""
        values = np.asarray(self.log_likelihoods, np.float64)
        top = values.max()
        return float(top + np.log(np.exp(values - top).sum()) - values[self.right])

    def _best(self, scores: Sequence[float]) -> int:
        """Of equal ones that whose hash is first: the order of the choices must not matter."""
        hashes = map(measuring.digest, self.choices)
        ranked = zip((-score for score in scores), hashes, range(len(scores)), strict=True)
        return min(ranked)[2]


def rows(dataset: str, chosen: Sequence[Chosen]) -> list[dict[str, Any]]:
    """The rows of a dataset in the table `choices`, one a row of its test split.

    label, predicted, predicted_per_byte  16 hex digits of the right choice and of the picked ones
    choices                               how many there are
    """
    return [_row(dataset, each) for each in chosen]


def _row(dataset: str, each: Chosen) -> dict[str, Any]:
    places = (each.right, each.picked, each.picked_per_byte)
    hashes = (measuring.digest(each.choices[place]) for place in places)
    facts = len(each.choices), round(max(0.0, each.nll), DIGITS)
    cells = (dataset, each.id, each.table, each.group or "", *hashes, *facts)
    return dict(zip(COLUMNS, cells, strict=True))


def read(table: Mapping[str, Sequence[str]]) -> dict[str, Sums] | None:
    """Metric -> the sums that it follows from, by the columns of a table; None if it is no such."""
    if any(name not in table for name in COLUMNS):
        return None
    try:
        nll, count = np.array(table["nll"], np.float64), np.array(table["choices"], np.int64)
    except ValueError:
        return None
    if not np.isfinite(nll).all() or (nll < 0).any() or (count < 2).any():
        return None
    return dict(_sums(table, nll))


def _sums(table: Mapping[str, Sequence[str]], nll: Floats) -> Iterator[tuple[str, Sums]]:
    one, none = np.ones(len(nll)), np.zeros(len(nll))
    for name, column in (("accuracy", "predicted"), ("accuracy_per_byte", PER_BYTE)):
        right = (np.array(table["label"]) == np.array(table[column])).astype(np.float64)
        numbers = np.stack([one, right], axis=1), np.stack([one, none], axis=1)
        yield name, Sums(*numbers, answers.mean, 0.0, 1.0)
    worst = np.maximum(nll, answers.WORST_TOKEN)
    numbers = np.stack([one, nll], axis=1), np.stack([one, worst], axis=1)
    yield "log_loss", Sums(*numbers, answers.mean, 0.0, math.inf)


def metrics(chosen: Sequence[Chosen], written: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The metrics of a dataset, and of each of its tables where there are several.

    written  `rows` of them; the metrics follow from them, so that a reader gets the same
    chance   what guessing would reach
    Raises ValueError if there are none.
    """
    if not chosen:
        raise ValueError("no rows to measure")
    sums = read({name: [str(row[name]) for row in written] for name in COLUMNS})
    if sums is None:
        raise ValueError("`written` is not what `rows` makes of choices")
    found = answers.measured(sums, np.arange(len(chosen)))
    found["chance"] = sum(1 / len(each.choices) for each in chosen) / len(chosen)
    names = sorted({each.table for each in chosen})
    if len(names) > 1:
        of = np.array([each.table for each in chosen])
        found["table"] = {
            name: answers.measured(sums, np.flatnonzero(of == name)) for name in names
        }
    return found
