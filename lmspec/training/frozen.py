"""frozen: what frozen layers give is computed once, and the layers above are fed from it.

Without dropout there, the states after the last frozen layer are the same in every epoch and in
every evaluation.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lmspec.methods.network import Classifier, Network
from lmspec.methods.reading import Batch, Ids, collate, length_order, lengths
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.training.feeding import Lower
from lmspec.training.progress import say
from lmspec.training.task import Objective, Task

# In memory: kept states have other last digits than those of a step's batch, so whether they are
# kept must not depend on how much room a machine has left on its disk.
MOST_BYTES = 2**31
AT_ONCE = 64  # windows, as in evaluations: states of dev windows have the same bits


@contextmanager
def kept(
    model: Classifier, task: Task, spec: GradientDescent, numerics: Numerics
) -> Iterator[Task]:
    """While this lasts, the task that is given is computed from kept states, where that pays.

    Of training windows: with several epochs, and no dropout in or below the frozen layers. Of dev
    windows: with several evaluations. This follows from the spec and the data alone.
    """
    steps = math.ceil(len(task.ids) / spec.batch_size) * spec.epochs
    train = spec.epochs > 1 and not task.reads_layers
    dev = steps > spec.early_stopping.evaluation_steps and len(task.dev) > 0
    # a task that changes its texts gives the layers something else in each epoch
    can = not isinstance(model, Network) and task.of_epoch is None and task.collate is collate
    lower = _lower(model, task) if can and (train or dev) else None
    if lower is None:
        yield task
        return
    room, fed = MOST_BYTES, task
    try:
        if train and not lower.draws and (size := _size(task.ids, lower)) <= room:
            bf16 = numerics.precision == "bf16"
            states = _computed("training", task.ids, task.pad_id, lower, bf16)
            room, fed = room - size, replace(fed, objective=_objective(lower, states, task))
        if dev and (size := _size(task.dev, lower)) <= room:
            states = _computed("dev", task.dev, task.pad_id, lower, False)
            room, fed = room - size, replace(fed, evaluate=_evaluation(lower, states, task))
        yield replace(fed, kept_bytes=MOST_BYTES - room)
    finally:
        lower.end()


class States:
    """Hidden states of windows, in one array: of their tokens alone, not of padding."""

    def __init__(self, ids: Sequence[Ids], width: int, dtype: torch.dtype) -> None:
        self.ends = lengths(ids).cumsum().tolist()
        self.values = torch.empty(self.ends[-1], width, dtype=dtype)  # (tokens, d)

    def __getitem__(self, row: int) -> Tensor:
        """(t, d) of a window."""
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]]

    def padded(self, rows: Ids | Sequence[int], length: int) -> Tensor:
        """(b, length, d) of some windows; 0 at what pads them."""
        out = self.values.new_zeros(len(rows), length, self.values.shape[1])
        for place, row in enumerate(rows):
            states = self[int(row)]
            out[place, : len(states)] = states
        return out


def _lower(model: Classifier, task: Task) -> Lower | None:
    by_length = lengths(task.ids).argsort(kind="stable")
    probe = collate(task.ids, [by_length[0], by_length[-1]], task.pad_id)
    return Lower.found(model, probe)


def _computed(what: str, ids: Sequence[Ids], pad_id: int, lower: Lower, bf16: bool) -> States:
    """In batches that follow from the windows alone: a training that goes on has the same."""
    size = _size(ids, lower) / 1e6
    say(f"{lower.count} frozen layers: once for {len(ids):,} {what} windows, {size:,.0f} MB")
    states = None
    with torch.autocast(lower.model.device.type, torch.bfloat16, enabled=bf16):
        for rows in length_order(lengths(ids), AT_ONCE):
            given = lower.compute(collate(ids, rows, pad_id))
            states = states or States(ids, lower.width, given.dtype)
            for row, each in zip(rows, given, strict=True):
                states[row][:] = each[: len(ids[row])]
    assert states is not None
    return states


def _size(ids: Sequence[Ids], lower: Lower) -> int:
    """Bytes, at most."""
    return int(lengths(ids).sum()) * lower.width * torch.float32.itemsize


def _objective(lower: Lower, states: States, task: Task) -> Objective:
    def loss(model: Classifier, batch: Batch, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        with lower.feeding(states.padded(batch.rows, batch.input_ids.shape[1])):
            return task.objective(model, batch, input_ids, attention_mask)

    return loss


def _evaluation(lower: Lower, states: States, task: Task) -> Callable[[], dict[str, float]]:
    """It does not say which rows it reads, so they are found by their tokens."""
    row_of = {window.tobytes(): row for row, window in enumerate(task.dev)}

    def feed(_: nn.Module, __: tuple[Any, ...], given: dict[str, Any]) -> None:
        ids, lengths = given["input_ids"].cpu().numpy(), given["attention_mask"].sum(1).tolist()
        rows = [row_of.get(i[:n].tobytes()) for i, n in zip(ids, lengths, strict=True)]
        known = [row for row in rows if row is not None]
        lower.feed(states.padded(known, ids.shape[1]) if len(known) == len(rows) else None)

    def evaluate() -> dict[str, float]:
        hook = lower.model.register_forward_pre_hook(feed, with_kwargs=True)
        try:
            with lower.feeding():
                return task.evaluate()
        finally:
            hook.remove()

    return evaluate
