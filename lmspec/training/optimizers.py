"""optimizers: how a step changes the weights."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.specs.training import Adamw, GradientDescent
from lmspec.training.schedule import learning_rate_factor


class Descent:
    """Steps along the gradient of a model's loss, with the learning rate of each step."""

    def __init__(self, model: PreTrainedModel, spec: GradientDescent, steps: int) -> None:
        self.spec, self.steps = spec, steps
        self.optimizer = _optimizer([p for p in model.parameters() if p.requires_grad], spec)
        self.trained = [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, number: int, loss: Tensor) -> float:
        """Change the weights by the gradient of a loss; returns the learning rate."""
        spec = self.spec
        factor = learning_rate_factor(number, self.steps, spec.warmup_fraction, spec.decay)
        rate = spec.optimizer.peak_learning_rate * factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained, spec.max_gradient_norm)
        self.optimizer.step()
        return rate


def _optimizer(trained: list[torch.nn.Parameter], spec: GradientDescent) -> torch.optim.Optimizer:
    rule = spec.optimizer
    # no decay of biases and norms: pulling them to 0 regularises nothing
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": rule.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    if isinstance(rule, Adamw):
        return torch.optim.AdamW(
            groups,
            lr=rule.peak_learning_rate,
            betas=(rule.beta1, rule.beta2),
            eps=rule.epsilon,
            fused=True,  # one pass over the weights instead of one per operation
        )
    return torch.optim.SGD(
        groups, lr=rule.peak_learning_rate, momentum=rule.momentum, nesterov=rule.nesterov
    )
