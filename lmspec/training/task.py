"""task: what a network learns from, and what came of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lmspec.methods.network import Classifier
from lmspec.methods.reading import Batch, Ids, collate
from lmspec.training.order import BUCKET_BATCHES

# loss of a batch: (model, batch, input_ids, attention_mask) -> scalar
Objective = Callable[[Classifier, Batch, Tensor, Tensor], Tensor]
# some windows as a batch: (ids, rows, pad_id) -> batch
Collate = Callable[[Sequence[Ids], Sequence[int] | Ids, int], Batch]
Curve = list[dict[str, Any]]


def positions(rows: Ids) -> list[str]:
    """Where windows are in the training data."""
    return [f"number {row}" for row in rows]


@dataclass(frozen=True)
class Task:
    """What a model learns from.

    ids        token ids of each window of the training texts
    objective  loss on a batch of them
    evaluate   metrics of the model in its present state on the dev split
    prior_log_loss  what the shares of the labels reach there: a model is cold until it is below
    named      what texts these windows are of, for messages
    of_epoch   the objective in an epoch, of a task that shows its texts differently in each
    curve      its name among those of the stage, in letters, digits and dashes; by default its seed
    dev        token ids of each window that `evaluate` reads, if it reads them as they are
    reads_layers  does the objective read what single layers give?
    kept_bytes    memory of states that are kept for it
    collate    how its windows become a batch; by default each is a row, padded on the right
    weight     (w,) how much each window counts in the mean loss of a batch; by default all the same
    bucket_batches  windows of so many batches are sorted by length
    """

    ids: Sequence[Ids]
    pad_id: int
    objective: Objective
    evaluate: Callable[[], dict[str, float]]
    prior_log_loss: float = math.inf
    named: Callable[[Ids], Sequence[str]] = positions
    of_epoch: Callable[[int], Objective] | None = None
    curve: str = ""
    dev: Sequence[Ids] = ()
    reads_layers: bool = False
    kept_bytes: int = 0
    collate: Collate = collate
    weight: NDArray[np.int64] | None = None
    bucket_batches: int = BUCKET_BATCHES


@dataclass(frozen=True)
class Fitted:
    """Result of a training.

    curve  one row per evaluation
    best   the row of the evaluation whose weights the model has
    steps  optimizer steps taken
    ended  False after a pause
    """

    curve: Curve
    best: dict[str, Any]
    steps: int
    ended: bool = True
