"""Methods of training: each is what torch or its paper says, for every kind of network."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional
from torch.optim import swa_utils
from transformers import BertConfig, BertForSequenceClassification

from lmspec.errors import LmspecError
from lmspec.language import examples, metric_names
from lmspec.language.resolved import Specs
from lmspec.methods import layers, reading
from lmspec.specs.names import ArtifactName
from lmspec.specs.student import Distillation
from lmspec.specs.training import CrossEntropy, Focal, GradientDescent
from lmspec.specs.updated import Retention
from lmspec.training import (
    distilling,
    dropping,
    loop,
    losses,
    seeds,
    summary,
    supervision,
    teaching,
    updating,
)
from lmspec.training.averaging import Average
from lmspec.training.optimizers import Descent
from lmspec.training.order import training_order
from lmspec.training.schedule import learning_rate_factor
from lmspec.training.task import Objective, Task
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
    with dropping.quick(model):  # the same draws for dropout
        for step, rows in enumerate(batches):
            torch.manual_seed(seeds.derived_seed(5, "dropout", step))
            batch = reading.collate(ids, rows, pad)
            logits = model(
                torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
            )
            functional.cross_entropy(logits.logits, torch.from_numpy(TRUTH[rows])).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for rule, schedule in zip(rules, schedules, strict=True):
                rule.step()
                rule.zero_grad()
                schedule.step()
    return model


def apart(one: torch.nn.Module, two: torch.nn.Module) -> float:
    """The largest difference of two weights."""
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [(ADAMW, "cnn"), (NESTEROV, "cnn"), (ADAFACTOR, "cnn"), (MUON, "lstm")],
    ids=lambda value: value if isinstance(value, str) else value["kind"],
)
def test_each_optimizer_is_torchs(optimizer: dict[str, Any], kind: str) -> None:
    """The weights of a plain PyTorch loop, but for the last digit of the gradient's norm, of which
    rows that do not occur are no part; the control: another rate gives other weights."""
    last = {"metric": "accuracy", "evaluation_steps": 1, "patience": 99999}
    spec = recipe(optimizer=optimizer, early_stopping=last)
    own, reference = fitted(kind, spec), plain(str(optimizer["kind"]), kind)
    exactly = optimizer["kind"] == "adafactor"  # it trains all rows
    assert apart(own, reference) <= (0 if exactly else 1e-6)
    other = recipe(
        optimizer=optimizer | {"peak_learning_rate": 1.1 * optimizer["peak_learning_rate"]}
    )
    assert apart(own, fitted(kind, other)) > 1e-4


def logits_and_truth() -> tuple[torch.Tensor, torch.Tensor]:
    """(40, 3) logits, some of them certain, and (40,) positions of labels."""
    draw = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(40, 3, generator=draw)
    logits[:3, 0] = 200.0  # p is 1 in fp32
    return logits.requires_grad_(), torch.arange(40) % 3


def gradient(loss: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, at)[0]


def test_label_smoothing_is_torchs() -> None:
    """Value and gradient; with weights too, row by row; the control: without it they differ."""
    logits, truth = logits_and_truth()
    rule = CrossEntropy(kind="cross_entropy", label_smoothing=0.1)
    own = losses.against_labels(logits, truth, None, rule)
    assert torch.equal(own, functional.cross_entropy(logits, truth, label_smoothing=0.1))
    weights = torch.linspace(0.5, 1.5, 40)
    rows = functional.cross_entropy(logits, truth, label_smoothing=0.1, reduction="none")
    weighted = losses.against_labels(logits, truth, weights, rule)
    torch.testing.assert_close(weighted, (rows * weights).sum() / 40)
    plain = losses.against_labels(logits, truth, None, None)
    assert torch.equal(plain, functional.cross_entropy(logits, truth)) and own > plain


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_its_formula(gamma: float) -> None:
    """(1 - p) ** gamma times cross-entropy, of which gamma 0 leaves cross-entropy; its gradient is
    finite where p is 1."""
    logits, truth = logits_and_truth()
    own = losses.against_labels(logits, truth, None, Focal(kind="focal", gamma=gamma))
    p = logits.double().softmax(1)[torch.arange(40), truth]
    formula = -((1 - p) ** gamma * p.log()).mean()
    torch.testing.assert_close(own.double(), formula, atol=1e-6, rtol=1e-5)
    entropy = functional.cross_entropy(logits, truth)
    slope = gradient(own, logits)
    assert torch.isfinite(slope).all()
    if gamma == 0:
        torch.testing.assert_close(slope, gradient(entropy, logits))
    assert torch.isclose(own, entropy) == (gamma == 0)


def bert() -> BertForSequenceClassification:
    """Three layers, random weights, no dropout."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


IDS = [np.arange(2, 2 + n) for n in (3, 9, 4, 4, 7, 5, 12, 6)]
LABELS = np.asarray([0, 0, 0, 1, 0, 1, 0, 0])
WEIGHTS = np.linspace(0.5, 1.5, 8, dtype=np.float32)
FOCAL = Focal(kind="focal", gamma=2.0)
SMOOTHED = CrossEntropy(kind="cross_entropy", label_smoothing=0.2)


def objectives(against: CrossEntropy | Focal | None) -> dict[str, Objective]:
    """Each kind of task, on the eight windows above."""
    answers = distilling.answers(bert(), IDS, 0, (0, 1, 2))
    distillation = Distillation(
        temperature=2.0, soft_weight=1.0, hidden_weight=1.0, hard_weight=0.5
    )
    old = distilling.Answers(answers.logits[5:], answers.states[5:])
    retention = Retention(temperature=2.0, weight=1.0)
    return {
        "model": supervision.supervised(LABELS, None, against),
        "weighted": supervision.supervised(LABELS, WEIGHTS, against),
        "student": teaching.taught(LABELS, WEIGHTS, answers, distillation, against),
        "updated": updating.retaining(LABELS, None, old, 5, retention, against),
        "updated, weighted": updating.retaining(LABELS, WEIGHTS, old, 5, retention, against),
    }


def loss_of(objective: Objective, model: torch.nn.Module) -> float:
    """On all eight windows at once."""
    batch = reading.collate(IDS, range(8), 0)
    ids, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
    return float(objective(model, batch, ids, mask).detach())


@pytest.mark.parametrize("against", [FOCAL, SMOOTHED], ids=["focal", "smoothed"])
def test_distillation_and_retention_keep_their_terms(against: CrossEntropy | Focal) -> None:
    """Another loss against the labels changes that term alone, times its weight."""
    model = bert().train()
    model.classifier.bias.data.copy_(torch.tensor([2.0, -1.0]))  # else p is near a half
    own, plain = objectives(against), objectives(None)
    change = {name: loss_of(own[name], model) - loss_of(plain[name], model) for name in own}
    assert min(map(abs, change.values())) > 1e-3
    assert change["updated"] == pytest.approx(change["model"], abs=1e-5)
    assert change["updated, weighted"] == pytest.approx(change["weighted"], abs=1e-5)
    assert change["student"] == pytest.approx(0.5 * change["weighted"], abs=1e-5)


@pytest.mark.parametrize("name", list(objectives(None)))
def test_accumulated_gradients_are_those_of_the_batch(name: str) -> None:
    """Parts of 3, 3 and 2 windows give the weights of the whole batch within 1e-6; the control:
    other bits, and fewer of the windows give other weights."""
    rule = {"metric": "accuracy", "evaluation_steps": 1, "patience": 9}
    once = {
        "epochs": 1,
        "batch_size": 8,
        "optimizer": SGD | {"peak_learning_rate": 0.05},
        "warmup_fraction": 0.0,
        "early_stopping": rule,
    }

    def trained(ids: list[Any] = IDS, **changes: object) -> list[torch.Tensor]:
        model = bert()
        task = Task(ids, 0, objectives(None)[name], lambda: {"accuracy": 0.5})
        loop.fit(model, task, recipe(**(once | changes)), NUMERICS)
        return [p.detach() for p in model.parameters()]

    whole, parts = trained(), trained(micro_batch_size=3)
    for one, two in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)
    assert not all(map(torch.equal, whole, parts))
    few = trained(IDS[:7], batch_size=7)
    assert max(float((a - b).abs().max()) for a, b in zip(whole, few, strict=True)) > 1e-5


@pytest.mark.parametrize(
    "rule", [{"kind": "ema", "decay": 0.8}, {"kind": "swa", "start_fraction": 0.4}]
)
def test_averaged_weights_are_torchs(rule: dict[str, Any]) -> None:
    """torch's AveragedModel, updated after each step from the first; evaluated and kept."""
    model, ids, pad = make("cnn")
    first = 8 if rule["kind"] == "swa" else 0
    update = swa_utils.get_ema_avg_fn(0.8) if rule["kind"] == "ema" else None
    reference = swa_utils.AveragedModel(model.head, avg_fn=update)
    evaluated: list[torch.Tensor] = []

    def evaluate() -> dict[str, float]:
        evaluated.append(model.head.weight.detach().clone())
        return {"accuracy": float(len(evaluated))}

    objective, steps = supervision.supervised(TRUTH), []

    def watched(network: torch.nn.Module, *batch: Any) -> torch.Tensor:
        if len(steps) > first:  # the weights after the step before
            reference.update_parameters(network.head)
        steps.append(1)
        return objective(network, *batch)

    early = {"metric": "accuracy", "evaluation_steps": 1, "patience": 999}
    spec = recipe(averaging=rule, early_stopping=early)
    average = Average(list(model.parameters()), spec, 20)
    assert average.first == first
    loop.fit(model, Task(ids, pad, watched, evaluate), spec, NUMERICS)
    assert len(steps) == len(evaluated) == 20
    torch.testing.assert_close(evaluated[18], reference.module.weight, atol=1e-6, rtol=1e-5)
    assert torch.equal(model.head.weight, evaluated[-1])
    plain = fitted("cnn", recipe(early_stopping=early))
    assert not torch.allclose(plain.head.weight, model.head.weight, atol=1e-5)


def test_averaging_changes_no_step() -> None:
    """The weights that are trained are the same with an average and without."""

    def trained(**averaging: object) -> list[torch.Tensor]:
        model, ids, pad = make("cnn")
        seen: list[torch.Tensor] = []
        objective = supervision.supervised(TRUTH)

        def watched(network: torch.nn.Module, *batch: Any) -> torch.Tensor:
            seen.append(network.head.weight.detach().clone())
            return objective(network, *batch)

        task = Task(ids, pad, watched, lambda: {"accuracy": 0.5})
        loop.fit(model, task, recipe(**averaging), NUMERICS)
        return seen

    pairs = zip(trained(), trained(averaging={"kind": "ema", "decay": 0.9}), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_layers_learn_at_their_own_rates() -> None:
    """Of three layers: the head at the peak, then 0.5, 0.25, 0.125 of it, the embeddings 0.0625;
    without the field, all at the peak."""
    model = bert()
    share = {n: 0.5**depth for n, depth in layers.depths(model).items()}
    assert {share[n] for n in share if n.startswith(("classifier.", "bert.pooler."))} == {1.0}
    assert {share[n] for n in share if n.startswith("bert.embeddings.")} == {0.0625}
    for number, wanted in ((0, 0.125), (1, 0.25), (2, 0.5)):
        start = f"bert.encoder.layer.{number}."
        assert {share[n] for n in share if n.startswith(start)} == {wanted}
    descent = Descent(model, recipe(layerwise_decay=0.5), 100)
    rates = {id(p): group["peak"] for group in descent.groups for p in group["params"]}
    assert all(rates[id(p)] == 3e-3 * share[n] for n, p in model.named_parameters())
    assert {group["peak"] for group in Descent(model, recipe(), 100).groups} == {3e-3}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    descent.step(4)
    assert descent.rate(4) == 3e-3 * 0.5  # half of the warm-up
    assert all(group["lr"] == group["peak"] * 0.5 for group in descent.groups)
    with pytest.raises(LmspecError, match="stack of layers"):
        Descent(make("cnn")[0], recipe(layerwise_decay=0.5), 100)


def test_muon_trains_the_hidden_matrices_alone() -> None:
    """Attention and the inner layers; the rest, embeddings and head among it, is AdamW's. Where
    nothing is left for it, it says so."""
    model = bert()
    names = {id(p): n for n, p in model.named_parameters()}
    muon, adamw = Descent(model, recipe(optimizer=MUON), 100).optimizers
    both = [
        {names[id(p)] for g in rule.param_groups for p in g["params"]} for rule in (muon, adamw)
    ]
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    assert both[0] == {
        n for n in names.values() if ".layer." in n and n.endswith("weight") and "Norm" not in n
    }
    assert both[0] | both[1] == set(names.values())
    with pytest.raises(LmspecError, match="muon has nothing to train"):
        Descent(make("cnn")[0], recipe(optimizer=MUON), 100)


def test_the_rate_is_stable_until_the_last_steps() -> None:
    """Warm-up, stable, decay; a fraction that is all that is left changes nothing."""
    stable = recipe(decay_fraction=0.2)
    rates = [learning_rate_factor(step, 100, stable) for step in range(101)]
    assert rates[9:81] == [1.0] * 72 and rates[90] == pytest.approx(0.5) and rates[100] == 0.0
    whole, rest = recipe(), recipe(decay_fraction=0.9)
    for step in range(101):
        assert learning_rate_factor(step, 100, whole) == learning_rate_factor(step, 100, rest)


def test_metrics_over_seeds_have_students_interval() -> None:
    """scipy's interval of the mean; their names are known where there are several seeds."""
    values = [0.81, 0.84, 0.79, 0.86]
    own = summary.over_seeds([{"accuracy": value, "other": 1.0} for value in values])
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert own["mean"] == {"accuracy": pytest.approx(np.mean(values))}
    assert (own["low"]["accuracy"], own["high"]["accuracy"]) == pytest.approx((low, high))
    read = examples.load()
    for model, seeds_trained in (("encoder-muon", 5), ("encoder", 1)):
        name = ArtifactName("model", model)
        specs = Specs(read.resolved, read.values, (name,), (), {name: []}, examples.PATH.parent)
        names = metric_names.names(specs, name)
        assert ("over_seeds.low.accuracy" in names) == (seeds_trained > 1)
