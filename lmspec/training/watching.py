"""watching: evaluations during a training, and the weights of the best one."""

import copy
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from lmspec.specs.results import WATCHED
from lmspec.specs.training import GradientDescent
from lmspec.training.averaging import Average
from lmspec.training.task import Curve, Fitted, Task


class Watch:
    """Evaluate, keep the best weights, and count evaluations since the best one."""

    def __init__(
        self, model: PreTrainedModel, task: Task, spec: GradientDescent, average: Average
    ) -> None:
        self.model, self.task, self.rule = model, task, spec.early_stopping
        self.average = average
        self.losses: list[float] = []
        self.curve: Curve = []
        self.best: dict[str, Any] = {}
        self.weights: dict[str, Tensor] = {}
        self.waited = 0
        self.is_cold = True

    def look(self, step: int, epoch: float, learning_rate: float) -> dict[str, Any]:
        """Evaluate the model, or the average of its weights; returns the row of the curve."""
        with self.average.in_place():
            return self._look(step, epoch, learning_rate)

    def _look(self, step: int, epoch: float, learning_rate: float) -> dict[str, Any]:
        self.model.eval()
        dev = self.task.evaluate()
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
            self.weights = {
                key: value.detach().clone() for key, value in self.model.state_dict().items()
            }
        return row

    def _quality(self, row: dict[str, Any]) -> tuple[float, float]:
        """The watched metric; of equal ones log loss decides, which moves before a label does."""
        sign = 1 if WATCHED[self.rule.metric] == "higher" else -1
        return sign * row[f"dev_{self.rule.metric}"], -row.get("dev_log_loss", 0.0)

    def finish(self, steps: int) -> Fitted:
        """Give the model the weights of its best evaluation."""
        self.model.load_state_dict(self.weights)
        self.model.eval()
        return Fitted(self.curve, copy.copy(self.best), steps)
