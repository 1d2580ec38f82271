"""optimizers: the rule by which a step changes the weights."""

import torch
from transformers import PreTrainedModel

from lmspec.specs.training import Adamw, GradientDescent
from lmspec.training.schedule import learning_rate_factor


def create(
    model: PreTrainedModel, spec: GradientDescent, total: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """The optimizer of a model, and its schedule over `total` steps."""
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
