"""optimizers: how a step changes the weights."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lmspec.errors import LmspecError
from lmspec.methods import layers
from lmspec.methods.network import Classifier
from lmspec.specs.optimizers import Adafactor, AdamwSettings, Muon, Sgd
from lmspec.specs.training import GradientDescent
from lmspec.training.schedule import learning_rate_factor
from lmspec.training.state import State

Rule = AdamwSettings | Sgd | Adafactor | Muon
CLIP_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_
Group = dict[str, Any]  # of weights, as torch.optim takes them, and `peak`: its peak learning rate


class Descent:
    """Steps along the gradient of a model's loss, with the learning rate of each step."""

    def __init__(self, model: Classifier, spec: GradientDescent, steps: int) -> None:
        self.spec, self.steps = spec, steps
        self.optimizers = _optimizers(model, spec)
        self.groups = [group for rule in self.optimizers for group in rule.param_groups]
        self.trained = [p for group in self.groups for p in group["params"]]
        # of a private training each row's is, and the noise that is added would count as large
        self.limit = math.inf if spec.private else spec.max_gradient_norm
        self.largest = torch.zeros((), device=self.trained[0].device)  # gradient's norm, so far

    def rate(self, number: int) -> float:
        """The learning rate of a step (from 0)."""
        factor = learning_rate_factor(number, self.steps, self.spec)
        return self.spec.optimizer.peak_learning_rate * factor

    def step(self, number: int) -> None:
        """Change the weights by their gradients, which are used up."""
        factor = learning_rate_factor(number, self.steps, self.spec)
        for group in self.groups:
            group["lr"] = group["peak"] * factor
        gradients = [p.grad for p in self.trained if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        self.largest = torch.maximum(self.largest, norm.detach().to(self.largest.device))
        for rule in self.optimizers:
            _clip(rule, norm, self.limit)
            rule.step()
            rule.zero_grad(set_to_none=True)

    def state(self) -> State:
        """Of the optimizers; the weights are apart."""
        held = [_held(rule.state_dict()) for rule in self.optimizers]
        return {"optimizers": held, "largest": self.largest}

    def restore(self, state: State) -> None:
        """Go on as if it had taken the steps itself."""
        for rule, held in zip(self.optimizers, state["optimizers"], strict=True):
            by_number = {int(name): value for name, value in held["state"].items()}
            rule.load_state_dict(held | {"state": by_number})
        self.groups = [group for rule in self.optimizers for group in rule.param_groups]
        self.largest = state["largest"].to(self.largest.device)


def _held(state: State) -> State:
    """A torch optimizer's, with the numbers of weights as names."""
    return state | {"state": {str(number): value for number, value in state["state"].items()}}


def _clip(rule: torch.optim.Optimizer, norm: Tensor, limit: float) -> None:
    """As `torch.nn.utils.clip_grad_norm_`, in the pass over the weights of a fused optimizer."""
    if rule.defaults.get("fused"):
        rule.grad_scale = ((norm + CLIP_EPSILON) / limit).clamp(min=1.0)  # type: ignore[attr-defined]
    else:
        trained = [p for group in rule.param_groups for p in group["params"]]
        nn.utils.clip_grads_with_norm_(trained, limit, norm)


def _optimizers(model: Classifier, spec: GradientDescent) -> list[torch.optim.Optimizer]:
    """One, or two of `muon`: for hidden matrices and for the rest."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    depth = layers.depths(model) if spec.layerwise_decay else dict.fromkeys(trained, 0)
    share = {n: (spec.layerwise_decay or 1.0) ** depth[n] for n in trained}
    rule = spec.optimizer
    if not isinstance(rule, Muon):
        return [_optimizer(rule, _groups(trained, share, rule))]
    hidden = layers.hidden_matrices(model) & trained.keys()
    if not hidden:
        found = "muon has nothing to train: no hidden matrix is trained"
        raise LmspecError("training.optimizer", found, "write `kind: adamw` and its fields")
    first = {n: p for n, p in trained.items() if n in hidden}
    rest = {n: p for n, p in trained.items() if n not in hidden}
    both = [_optimizer(rule, _groups(first, share, rule))]
    return [*both, _optimizer(rule.rest, _groups(rest, share, rule.rest))] if rest else both


def _groups(trained: dict[str, nn.Parameter], share: dict[str, float], rule: Rule) -> list[Group]:
    """Weights of the same weight decay and learning rate together, matrices first."""
    by_kind: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, weight in trained.items():
        by_kind.setdefault((weight.ndim < 2, share[name]), []).append(weight)
    return [
        {
            "params": weights,
            # no decay of biases and norms: pulling them to 0 regularises nothing
            "weight_decay": 0.0 if vector else rule.weight_decay,
            "peak": rule.peak_learning_rate * part,
        }
        for (vector, part), weights in sorted(by_kind.items(), key=lambda item: item[0][0])
    ]


def _optimizer(rule: Rule, groups: Iterable[Group]) -> torch.optim.Optimizer:
    rate = rule.peak_learning_rate
    match rule:
        case AdamwSettings():
            # fused: one pass over the weights instead of one per operation
            betas = (rule.beta1, rule.beta2)
            return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=rule.epsilon, fused=True)
        case Sgd():
            return torch.optim.SGD(groups, lr=rate, momentum=rule.momentum, nesterov=rule.nesterov)
        case Adafactor():
            return torch.optim.Adafactor(
                groups,
                lr=rate,
                beta2_decay=rule.beta2_decay,
                eps=(rule.epsilon1, rule.epsilon2),
                d=rule.clipping_threshold,
            )
        case Muon():
            return torch.optim.Muon(
                groups,
                lr=rate,
                momentum=rule.momentum,
                nesterov=rule.nesterov,
                ns_steps=rule.iterations,
                adjust_lr_fn=rule.adjustment,
            )
