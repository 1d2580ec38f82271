"""world: the processes that train one network together, each on its part of every batch.

The order of the rows does not depend on how many there are: a batch is divided by position, and
the gradient is the mean over all of its rows. Source: Li et al. 2020, arXiv:2006.15704.
"""

import atexit
import contextlib
import dataclasses
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lmspec.errors import LmspecError
from lmspec.methods.network import Classifier, Network
from lmspec.methods.reading import Ids
from lmspec.methods.resume import Resume
from lmspec.specs.checks import numerics as checks
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.training import sharding
from lmspec.training.order import Step
from lmspec.training.seeds import derived_seed
from lmspec.training.task import Objective, Task

MEETING = "LMSPEC_MEETING"  # set by run/ranks.py: a file, or host:port/stage
Loss = Callable[[Classifier, Objective, Ids], Tensor]  # mean over the rows


@dataclasses.dataclass(frozen=True)
class World:
    """rank: number of this process, from 0; size: how many there are; device: of the model.

    shards  does each hold only a part of the weights?
    """

    rank: int
    size: int
    shards: bool
    device: torch.device

    @classmethod
    def joined(cls, numerics: Numerics, spec: GradientDescent, model: Classifier) -> "World":
        """Meet the others, if the launcher has started any.

        Raises LmspecError if there are not as many as the numerics say, or the recipe is none for
        several.
        """
        rank, size = (int(os.environ.get(n, d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1)))
        if size != (numerics.world or 1):
            found = f"it is {numerics.world or 1}, and this stage trains in {size} process(es)"
            remedy = "a stage has several if its spec has `training: {kind: gradient_descent}`"
            raise LmspecError("params.yaml: numerics.world", found, remedy)
        shards = size > 1 and numerics.sharding is not None and not isinstance(model, Network)
        _require_suited(spec, size, shards)
        if size > 1 and not distributed.is_initialized():
            distributed.init_process_group(
                "nccl" if model.device.type == "cuda" else "gloo",
                store=_store(size),
                rank=rank,
                world_size=size,
            )
            atexit.register(distributed.destroy_process_group)
        return cls(rank, size, shards, model.device)

    def resumed(self, resume: Resume | None) -> Resume | None:
        """Where it goes on from: one of them writes, all read; parts of weights are not kept."""
        if self.shards:
            return None
        return (
            resume if resume is None or self.rank == 0 else dataclasses.replace(resume, own=False)
        )

    def require_same(self, step: int) -> None:
        """Wait until all have read their checkpoint. Raises LmspecError if theirs differ."""
        if self.size > 1:
            first = self._of_first(torch.tensor([step], dtype=torch.float64))
            if first.item() != step:
                found = f"one process goes on from step {step:,}, another from {int(first):,}"
                raise LmspecError("training", found, "remove .lmspec/resume and build again")

    def seed(self, root: int, step: int) -> int:
        """Of a step's dropout: each has other rows, so other draws."""
        use = f"dropout of rank {self.rank}" if self.rank else "dropout"
        return derived_seed(root, use, step)

    def shares(
        self, step: Step, size: int | None, weight: NDArray[np.int64] | None = None
    ) -> list[tuple[Ids, float]]:
        """(rows, factor of their mean loss) of this process, at most so many rows at once.

        weight  (w,) how much each window counts, if not all the same
        The mean over the world of the sums of these is the mean loss of the step's rows. A process
        without rows computes one that does not count, since all take part in every step.
        """
        own = np.array_split(step.rows, self.size)[self.rank]
        if not len(own):
            return [(step.rows[:1], 0.0)]
        parts = dataclasses.replace(step, rows=own).parts(size)
        if weight is None:
            return [(rows, self.size * len(rows) / len(step.rows)) for rows in parts]
        whole = int(weight[step.rows].sum())
        return [(rows, self.size * int(weight[rows].sum()) / whole) for rows in parts]

    def replicated(
        self,
        model: Classifier,
        loss: Loss,
        size: int | None,
        weight: NDArray[np.int64] | None,
    ) -> "Replica":
        """What computes losses, and has the gradients of all averaged. size, weight: of shares."""
        return Replica(model, loss, self, size, weight)

    def mean(self, loss: Tensor) -> Tensor:
        """Of a scalar, over all of them."""
        if self.size == 1:
            return loss
        distributed.all_reduce(loss)
        return loss / self.size

    def divided(self, model: Classifier) -> AbstractContextManager[object]:
        """While this lasts, each has a part of each weight, if the numerics say so."""
        return sharding.sharded(model, self.size) if self.shards else contextlib.nullcontext()

    def agreeing(self, task: Task) -> Task:
        """A task whose evaluations are the first one's: they decide when all stop."""
        if self.size == 1:
            return task

        def evaluate() -> dict[str, float]:
            own = task.evaluate()
            first = self._of_first(torch.tensor([*own.values()], dtype=torch.float64))
            return dict(zip(own, first.tolist(), strict=True))

        return dataclasses.replace(task, evaluate=evaluate)

    def _of_first(self, values: Tensor) -> Tensor:
        values = values.to(self.device)
        distributed.broadcast(values, 0)
        return values.cpu()


class Replica:
    """A model whose gradients are the mean of those of all processes after each step.

    A sharded model sees to that itself. Of others the buckets stay as they are first made
    (`find_unused_parameters`): torch would arrange others after the first step, and a resumed
    training would sum in another order.
    """

    def __init__(
        self,
        model: Classifier,
        loss: Loss,
        world: World,
        size: int | None,
        weight: NDArray[np.int64] | None,
    ) -> None:
        self.model, self.loss, self.world = model, loss, world
        self.size, self.weight = size, weight
        self.together: DistributedDataParallel | None = None
        if world.size > 1 and not world.shards:
            self.together = DistributedDataParallel(
                _Losses(model, loss), forward_sync_buffers=False, find_unused_parameters=True
            )

    def backward(self, objective: Objective, step: Step) -> Tensor:
        """Give the weights their gradients; returns the mean loss of the step's rows."""
        shares = self.world.shares(step, self.size, self.weight)
        loss = torch.zeros((), device=self.world.device)
        for number, (rows, factor) in enumerate(shares, start=1):
            with self._summing(number == len(shares)):
                part = self._loss(objective, rows) * factor
                part.backward()  # type: ignore[no-untyped-call]
            loss = loss + part.detach()
        return self.world.mean(loss)

    def _loss(self, objective: Objective, rows: Ids) -> Tensor:
        if self.together is None:
            return self.loss(self.model, objective, rows)
        result: Tensor = self.together(objective, rows)
        return result

    def _summing(self, is_last: bool) -> AbstractContextManager[None]:
        """Until the last part of a step gradients are only added up here."""
        if self.world.shards:
            self.model.set_requires_gradient_sync(is_last)
        if self.together is None or is_last:
            return contextlib.nullcontext()
        waiting: AbstractContextManager[None] = self.together.no_sync()
        return waiting


class _Losses(nn.Module):
    """The loss as a module: whatever an objective does with the model, its gradients are seen."""

    def __init__(self, model: Classifier, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, objective: Objective, rows: Ids) -> Tensor:
        return self.loss(self.model, objective, rows)


def _require_suited(spec: GradientDescent, size: int, shards: bool) -> None:
    """Raise LmspecError if a recipe cannot be that of so many processes, as `lmspec validate` says.

    shards  are the weights divided among them?
    """
    recipe = spec.model_dump()
    wrong = [*(checks.optimizer_takes_parts(recipe) if shards else ())]
    wrong += [*checks.batch_suffices(recipe, size), *checks.private_trains_alone(recipe, size)]
    for found in wrong:
        place = ".".join(("training", *map(str, found.steps)))
        raise LmspecError(place, found.found, found.remedy)


def _store(size: int) -> Any:
    """Where they meet: a file of this machine, or torchrun's store, in which a stage has a part."""
    place = os.environ[MEETING]
    address, _, stage = place.partition("/")
    if not address:
        return distributed.FileStore(place, size)  # type: ignore[attr-defined]
    host, _, port = address.rpartition(":")
    store = distributed.TCPStore(host, int(port), is_master=False)  # type: ignore[attr-defined]
    return distributed.PrefixStore(stage, store)  # type: ignore[attr-defined]
