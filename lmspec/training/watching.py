"""watching: evaluations during a training, and the weights of the best one."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lmspec.methods import metrics
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Ids
from lmspec.specs.training import GradientDescent
from lmspec.training import faults
from lmspec.training.averaging import Average
from lmspec.training.state import State, Weights
from lmspec.training.task import Curve, Fitted, Task

# On a card, whose every loss that is read waits for all the work before it
READ_AT_ONCE = 32
Dev = dict[str, float]  # metrics on the dev split
Evaluate = Callable[[], Dev]
HELD = ("losses", "curve", "best", "weights", "waited", "is_cold")


class Watch:
    """Evaluate, keep the best weights, and count evaluations since the best one."""

    def __init__(
        self,
        model: Classifier,
        task: Task,
        spec: GradientDescent,
        average: Average,
        steps: int,
    ) -> None:
        self.model, self.task, self.rule = model, task, spec.early_stopping
        self.average, self.steps = average, steps
        self.losses: list[float] = []
        self.unread: list[tuple[int, Ids, Tensor, Tensor]] = []  # steps whose loss is on a card
        self.curve: Curve = []
        self.best: dict[str, Any] = {}
        self.weights: dict[str, Tensor] = {}
        self.waited = 0
        self.is_cold = True

    def add(self, step: int, rows: Ids, loss: Tensor, largest: Tensor) -> None:
        """Take in the loss of a step (from 1) on these windows, before its gradient is used.

        largest  norm of the largest gradient before
        Raises as `read` does.
        """
        self.unread.append((step, rows, loss, largest))
        if loss.device.type == "cpu" or len(self.unread) == READ_AT_ONCE:
            self.read()

    def read(self) -> None:
        """Copy the losses that are unread. Raises LmspecError if one is not finite."""
        if not self.unread:
            return
        losses = torch.stack([loss for _, _, loss, _ in self.unread]).tolist()
        for (step, rows, _, largest), loss in zip(self.unread, losses, strict=True):
            if not math.isfinite(loss):
                raise faults.not_finite(self.task, rows, loss, step, self.last_loss, largest)
            self.losses.append(loss)
        self.unread.clear()

    def is_due(self, step: int) -> bool:
        """Is it time to evaluate, after so many steps?"""
        every = self.rule.evaluation_steps
        looked = bool(self.curve) and self.curve[-1]["step"] == step
        return step > 0 and (step % every == 0 or step == self.steps) and not looked

    def is_over(self, step: int) -> bool:
        """Has the training ended, after so many steps?"""
        return step == self.steps or self.waited >= self.rule.patience

    def look(
        self, step: int, epoch: float, learning_rate: float, at_once: Callable[[Evaluate], Dev]
    ) -> dict[str, Any]:
        """Evaluate the model, or the average of its weights; returns the row of the curve.

        at_once  calls a function, in the midst of which a signal may stop the training
        """
        self.read()
        with self.average.in_place():
            self.model.eval()
            return self._note(step, epoch, learning_rate, at_once(self.task.evaluate))

    def _note(self, step: int, epoch: float, learning_rate: float, dev: Dev) -> dict[str, Any]:
        row: dict[str, Any] = {
            "step": step,
            "epoch": round(epoch, 4),
            "learning_rate": learning_rate,
        }
        row |= {"train_loss": sum(self.losses) / len(self.losses)} | {
            f"dev_{name}": value for name, value in dev.items()
        }
        self.curve.append(row)
        self.losses.clear()  # train_loss is the mean since the last evaluation
        # it is warm once it answers more than one label, and better than the labels' shares
        self.is_cold = self.is_cold and (
            row.get("dev_predicted_labels", 2) < 2
            or row.get("dev_log_loss", 0.0) >= self.task.prior_log_loss
        )
        self.waited += not self.is_cold
        if not self.best or self._quality(row) > self._quality(self.best):
            self.best, self.waited = row, 0
            held = Weights(self.model).state()
            self.weights = {name: value.detach().clone() for name, value in held.items()}
        return row

    def _quality(self, row: dict[str, Any]) -> tuple[float, float]:
        return metrics.quality(row, self.rule.metric, "dev_")

    @property
    def last_loss(self) -> float | None:
        """Of the last step, or the mean up to the last evaluation; None before the first step."""
        if self.losses:
            return self.losses[-1]
        return float(self.curve[-1]["train_loss"]) if self.curve else None

    def state(self) -> State:
        """The curve, the best weights, and what decides when to stop."""
        self.read()
        return {name: getattr(self, name) for name in HELD}

    def restore(self, state: State) -> None:
        """Go on as if it had seen the evaluations itself."""
        for name in HELD:
            setattr(self, name, state[name])

    def so_far(self, step: int, at_once: Callable[[Evaluate], Dev]) -> Fitted:
        """The best evaluation up to a pause. One there does not count for the training itself."""
        rows = [self.best] if self.best else []
        if not self.curve or self.curve[-1]["step"] != step:
            with self.average.in_place():
                self.model.eval()
                dev = at_once(self.task.evaluate)
            rows.append({"step": step} | {f"dev_{name}": value for name, value in dev.items()})
        return Fitted(self.curve, copy.copy(max(rows, key=self._quality)), step, ended=False)

    def finish(self, steps: int) -> Fitted:
        """Give the model the weights of its best evaluation."""
        Weights(self.model).restore(self.weights)
        self.model.eval()
        return Fitted(self.curve, copy.copy(self.best), steps)
