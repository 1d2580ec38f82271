"""averaging: the mean of the weights over the steps, which is evaluated and kept in their place."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from lmspec.specs.training import GradientDescent, StochasticAverage
from lmspec.training.state import State


class Average:
    """The weights that are trained, averaged as torch.optim.swa_utils does.

    kept   the average, empty before it begins
    count  steps in it
    """

    def __init__(self, trained: Sequence[Tensor], spec: GradientDescent, steps: int) -> None:
        self.trained, rule = trained, spec.averaging
        self.kept: list[Tensor] = []
        self.count = 0
        self._update: Callable[..., None] | None = None
        if rule is None:
            self.first = steps
        elif isinstance(rule, StochasticAverage):
            self.first = round(steps * rule.start_fraction)
            self._update = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
        else:
            self.first = 0
            self._update = get_ema_multi_avg_fn(rule.decay)  # type: ignore[no-untyped-call]

    def add(self, step: int) -> None:
        """Take in the weights after a step (from 0)."""
        if self._update is None or step < self.first:
            return
        if self.kept:
            self._update(self.kept, list(self.trained), self.count)
        else:
            self.kept = [weight.detach().clone() for weight in self.trained]
        self.count += 1

    def state(self) -> State:
        """The average, and of how many steps."""
        return {"kept": self.kept, "count": self.count}

    def restore(self, state: State) -> None:
        """Go on as if it had taken in the steps itself."""
        self.kept = [value.to(self.trained[0].device) for value in state["kept"]]
        self.count = state["count"]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the average while this lasts, if there is one."""
        if not self.kept:
            yield
            return
        own = [weight.detach().clone() for weight in self.trained]
        self._write(self.kept)
        try:
            yield
        finally:
            self._write(own)

    @torch.no_grad()
    def _write(self, values: Sequence[Tensor]) -> None:
        for weight, value in zip(self.trained, values, strict=True):
            weight.copy_(value)
