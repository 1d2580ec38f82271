"""training: the loop that fits every kind of model.

MiniLM trains at about 100 GFLOP/s on two cores, where one matrix product of its shapes reaches 135
(docs/log.md): only less work makes it faster, such as frozen embeddings and layers.
"""

import copy
import hashlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.errors import LmspecError
from lmspec.methods.encoding import training_order
from lmspec.methods.reading import Batch, Ids, collate
from lmspec.specs.numerics import Numerics
from lmspec.specs.results import WATCHED
from lmspec.specs.training import Adamw, GradientDescent

# loss of a batch: (model, batch, input_ids, attention_mask) -> scalar
Objective = Callable[[PreTrainedModel, Batch, Tensor, Tensor], Tensor]
Curve = list[dict[str, Any]]
SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Task:
    """What a model learns from.

    ids        token ids of each window of the training texts
    objective  loss on a batch of them
    evaluate   metrics of the model in its present state on the dev split
    prior_log_loss  what the shares of the labels reach there: a model is cold until it is below
    """

    ids: Sequence[Ids]
    pad_id: int
    objective: Objective
    evaluate: Callable[[], dict[str, float]]
    prior_log_loss: float = math.inf


@dataclass(frozen=True)
class Fitted:
    """Result of a training.

    curve  one row per evaluation
    best   the row of the evaluation whose weights the model has
    steps  optimizer steps taken
    """

    curve: Curve
    best: dict[str, Any]
    steps: int


def fit(model: PreTrainedModel, task: Task, spec: GradientDescent, numerics: Numerics) -> Fitted:
    """Train in place; the model ends with the weights of its best evaluation.

    Raises LmspecError if the loss is not finite.
    """
    per_epoch = math.ceil(len(task.ids) / spec.batch_size)
    total = per_epoch * spec.epochs
    optimizer, schedule = _optimizer(model, spec, total)
    watch = _Watch(model, task, spec)
    progress = _Progress(total, spec.batch_size)
    every = spec.early_stopping.evaluation_steps
    lengths = [len(i) for i in task.ids]
    step = 0
    for epoch in range(spec.epochs):
        model.train()
        for at, rows in enumerate(
            training_order(lengths, spec.batch_size, numerics.seed, epoch), start=1
        ):
            # per step, so that dropout does not depend on how many draws came before
            torch.manual_seed(derived_seed(numerics.seed, "dropout", step))
            batch = collate(task.ids, rows, task.pad_id)  # (b, t), t of the longest text in it
            loss = _loss(model, batch, task.objective, numerics)
            if not torch.isfinite(loss):
                raise LmspecError(
                    "training",
                    f"the loss is {loss.item()} at step {step + 1}",
                    "lower peak_learning_rate",
                )
            learning_rate = optimizer.param_groups[0]["lr"]  # of this step: the schedule moves on
            _descend(loss, optimizer, spec.max_gradient_norm)
            schedule.step()
            step += 1
            watch.losses.append(loss.item())
            progress.show(step, watch.losses[-1])
            if step % every == 0 or step == total:
                progress.evaluated(step, watch.look(step, epoch + at / per_epoch, learning_rate))
                if watch.waited >= spec.early_stopping.patience:
                    return watch.finish(step)
                model.train()
    return watch.finish(step)


def _loss(model: PreTrainedModel, batch: Batch, objective: Objective, numerics: Numerics) -> Tensor:
    input_ids = torch.from_numpy(batch.input_ids).to(model.device)  # (b, t) int64
    attention_mask = torch.from_numpy(batch.attention_mask).to(model.device)  # (b, t) int64
    # bf16 has the exponent range of fp32, so its gradients need no loss scaling
    with torch.autocast(model.device.type, torch.bfloat16, enabled=numerics.precision == "bf16"):
        return objective(model, batch, input_ids, attention_mask)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, max_gradient_norm: float) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(
        [p for group in optimizer.param_groups for p in group["params"]], max_gradient_norm
    )
    optimizer.step()


def derived_seed(seed: int, use: str, step: int) -> int:
    """A separate seed for each use and step: another draw elsewhere shifts none of these."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{use}:{step}".encode()).digest()[:4])


def seed_weights(numerics: Numerics) -> None:
    """Seed the weights of the network that is created next, as far as they are not pretrained."""
    torch.manual_seed(derived_seed(numerics.seed, "weights", 0))


def over_seeds(
    train: Callable[[Numerics], Fitted], spec: GradientDescent, numerics: Numerics
) -> list[Fitted]:
    """Train once more with each further seed of the spec; results in order.

    train  creates a network and fits it, with the numerics that it is given
    """
    others = []
    for number in range(2, spec.seeds + 1):
        print(f"  seed {number} of {spec.seeds}", file=sys.stderr, flush=True)
        others.append(train(numerics.model_copy(update={"seed": numerics.seed + number - 1})))
    return others


def metrics(model: PreTrainedModel, fitted: Fitted, others: Sequence[Fitted]) -> dict[str, Any]:
    """Metrics of a training: best evaluation, steps, number of parameters, and each seed's result.

    others  trainings with further seeds, from `over_seeds`
    """
    report = {
        "dev": _best(fitted),
        "best_step": fitted.best["step"],
        "steps": fitted.steps,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    seeds = {str(number): _best(each) for number, each in enumerate([fitted, *others], start=1)}
    return report | ({"seeds": seeds} if others else {})


def _best(fitted: Fitted) -> dict[str, float]:
    return {
        name.removeprefix("dev_"): value
        for name, value in fitted.best.items()
        if name.startswith("dev_")
    }


def learning_rate_factor(step: int, total: int, warmup_fraction: float, decay: str) -> float:
    """Share of the peak learning rate at a step (from 0): linear warm-up, then decay to 0."""
    warmup = round(total * warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[
        decay
    ]


def _optimizer(
    model: PreTrainedModel, spec: GradientDescent, total: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    trained = [p for p in model.parameters() if p.requires_grad]
    rule = spec.optimizer
    # no decay of biases and norms: pulling them to 0 regularises nothing
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": rule.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer
    if isinstance(rule, Adamw):
        optimizer = torch.optim.AdamW(
            groups,
            lr=rule.peak_learning_rate,
            betas=(rule.beta1, rule.beta2),
            eps=rule.epsilon,
            fused=True,  # one pass over the weights instead of one per operation
        )
    else:
        optimizer = torch.optim.SGD(
            groups, lr=rule.peak_learning_rate, momentum=rule.momentum, nesterov=rule.nesterov
        )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, total, spec.warmup_fraction, spec.decay)
    )
    return optimizer, schedule


class _Watch:
    """Evaluate, keep the best weights, and count evaluations since the best one."""

    def __init__(self, model: PreTrainedModel, task: Task, spec: GradientDescent) -> None:
        self.model, self.task, self.rule = model, task, spec.early_stopping
        self.losses: list[float] = []
        self.curve: Curve = []
        self.best: dict[str, Any] = {}
        self.weights: dict[str, Tensor] = {}
        self.waited = 0
        self.is_cold = True

    def look(self, step: int, epoch: float, learning_rate: float) -> dict[str, Any]:
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
        self.model.load_state_dict(self.weights)
        self.model.eval()
        return Fitted(self.curve, copy.copy(self.best), steps)


class _Progress:
    """Print a plain line every few seconds, which reads well in a terminal and in a log."""

    def __init__(self, total: int, batch_size: int) -> None:
        self.total, self.batch_size = total, batch_size
        self.start = self.last = time.monotonic()

    def show(self, step: int, loss: float) -> None:
        now = time.monotonic()
        if now - self.last >= SECONDS_BETWEEN_LINES:
            self.last = now
            rate = step * self.batch_size / (now - self.start)
            left = (self.total - step) * self.batch_size / rate
            self.say(
                f"step {step}/{self.total}  loss {loss:.4f}  {rate:.0f} texts/s  {left:.0f} s left"
            )

    def evaluated(self, step: int, row: dict[str, Any]) -> None:
        """Print the result of an evaluation."""
        shown = (
            f"{name} {value:.4f}"
            for name, value in row.items()
            if name.startswith(("dev", "train"))
        )
        self.say(f"step {step}/{self.total}  " + "  ".join(shown))

    def say(self, line: str) -> None:
        """Print a line at once."""
        print(f"  {line}", file=sys.stderr, flush=True)
