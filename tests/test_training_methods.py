"""Methods of training: each is what torch or its paper says, for every kind of network."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from lmspec.methods import reading
from lmspec.specs.training import GradientDescent
from lmspec.training import (
    loop,
    seeds,
    supervision,
)
from lmspec.training.order import training_order
from lmspec.training.task import Task
from tests.test_training import ADAMW, NUMERICS, SGD, TRUTH, make, recipe

RATE = 3e-3
REST = {name: value for name, value in ADAMW.items() if name != "kind"}
ADAFACTOR = {
    "kind": "adafactor",
    "peak_learning_rate": 0.05,
    "weight_decay": 0.01,
    "beta2_decay": -0.8,
    "epsilon1": 1e-15,
    "epsilon2": 1e-3,
    "clipping_threshold": 1.0,
}
MUON = {
    "kind": "muon",
    "peak_learning_rate": RATE,
    "weight_decay": 0.01,
    "momentum": 0.95,
    "nesterov": True,
    "iterations": 5,
    "adjustment": "match_rms_adamw",
    "rest": REST,
}
NESTEROV = SGD | {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}


def evaluate() -> dict[str, float]:
    return {"accuracy": 0.0}


def fitted(
    kind: str, spec: GradientDescent, model: torch.nn.Module | None = None
) -> torch.nn.Module:
    """A small network of that kind, trained; not the best weights but the last are left."""
    fresh, ids, pad = make(kind)
    model = model or fresh
    rising = iter(range(10**6))
    task = Task(ids, pad, supervision.supervised(TRUTH), lambda: {"accuracy": float(next(rising))})
    loop.fit(model, task, spec, NUMERICS)
    return model


def torchs_own(optimizer: str, model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """The optimizers of the specs above, as one would write them."""
    named = dict(model.named_parameters())
    hidden = [p for n, p in named.items() if n.startswith("layers.") and p.ndim == 2]

    def split(weights: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        return [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in weights if p.ndim == 1], "weight_decay": 0.0},
        ]

    every = list(named.values())
    rest = [p for p in every if not any(p is h for h in hidden)]
    adamw = {"lr": RATE, "betas": (0.9, 0.999), "eps": 1e-8, "fused": True}
    match optimizer:
        case "adamw":
            return [torch.optim.AdamW(split(every), **adamw)]
        case "sgd":
            return [torch.optim.SGD(split(every), lr=0.1, momentum=0.9, nesterov=True)]
        case "adafactor":
            return [torch.optim.Adafactor(split(every), lr=0.05, eps=(1e-15, 1e-3))]
    muon = torch.optim.Muon(
        hidden, lr=RATE, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(split(rest), **adamw)]


def plain(optimizer: str, kind: str) -> torch.nn.Module:
    """Two epochs as a plain PyTorch loop, with torch's own linear schedule."""
    model, ids, pad = make(kind)
    rules = torchs_own(optimizer, model)
    lengths = [len(i) for i in ids]
    batches = [rows for epoch in (0, 1) for rows in training_order(lengths, 16, 5, epoch)]
    warmup = round(0.1 * len(batches))

    def factor(step: int) -> float:
        falling = (step - warmup) / (len(batches) - warmup)
        return (step + 1) / warmup if step < warmup else 1 - falling

    schedules = [torch.optim.lr_scheduler.LambdaLR(rule, factor) for rule in rules]
    model.train()
    for step, rows in enumerate(batches):
        torch.manual_seed(seeds.derived_seed(5, "dropout", step))
        batch = reading.collate(ids, rows, pad)
        logits = model(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask))
        functional.cross_entropy(logits.logits, torch.from_numpy(TRUTH[rows])).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for rule, schedule in zip(rules, schedules, strict=True):
            rule.step()
            rule.zero_grad()
            schedule.step()
    return model


def same(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [(ADAMW, "cnn"), (NESTEROV, "cnn"), (ADAFACTOR, "cnn"), (MUON, "lstm")],
    ids=lambda value: value if isinstance(value, str) else value["kind"],
)
def test_each_optimizer_is_torchs(optimizer: dict[str, Any], kind: str) -> None:
    """The weights of a plain PyTorch loop, bit for bit; the control: another rate gives others."""
    last = {"metric": "accuracy", "evaluation_steps": 1, "patience": 99999}
    spec = recipe(optimizer=optimizer, early_stopping=last)
    own, reference = fitted(kind, spec), plain(str(optimizer["kind"]), kind)
    if optimizer["kind"] == "muon":  # gradients are clipped in another order of weights
        for one, two in zip(own.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=2e-3, atol=2e-4)
    else:
        assert same(own, reference)
    other = recipe(
        optimizer=optimizer | {"peak_learning_rate": 1.1 * optimizer["peak_learning_rate"]}
    )
    assert not same(own, fitted(kind, other))
