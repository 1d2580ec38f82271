"""Resume: a training that was killed goes on from its checkpoint and ends with the same bits."""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lmspec.methods.resume import Resume
from lmspec.specs.training import GradientDescent
from lmspec.training import checkpoints, loop, supervision
from lmspec.training.task import Fitted, Task
from tests.test_training import NUMERICS, SGD, TRUTH, alone, make, recipe
from tests.test_training_methods import ADAFACTOR, MUON

STOPPING = {"metric": "log_loss", "evaluation_steps": 4, "patience": 3}
RECIPES = {
    "adamw": recipe(early_stopping=STOPPING),
    "sgd": recipe(early_stopping=STOPPING, optimizer=SGD | {"momentum": 0.9, "nesterov": True}),
    "adafactor": recipe(
        early_stopping=STOPPING,
        optimizer=ADAFACTOR,
        micro_batch_size=5,
        averaging={"kind": "swa", "start_fraction": 0.2},
    ),
    "muon": recipe(
        early_stopping=STOPPING,
        optimizer=MUON,
        averaging={"kind": "ema", "decay": 0.9},
        loss={"kind": "focal", "gamma": 2.0},
    ),
}
KINDS = ("cnn", "lstm")
PAIRS = [pair for pair in itertools.product(KINDS, RECIPES) if pair != ("cnn", "muon")]


class Kill(BaseException):
    """Ends a training at that point, as SIGKILL does: nothing of it is used afterwards."""


def place(folder: Path) -> Resume:
    return Resume(folder, lambda: True)


def train(
    kind: str,
    spec: GradientDescent,
    resume: Resume | None,
    at: Callable[[str, int], None] = lambda where, count: None,
) -> tuple[str, Fitted]:
    """Digest of the weights, and what came of it. at: called with the place and how often it was
    passed, before each loss and in the middle of each evaluation."""
    model, ids, pad = make(kind)
    known = supervision.supervised(TRUTH)
    evaluation = supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)
    passed = {"step": 0, "evaluation": 0}

    def pass_by(where: str) -> None:
        passed[where] += 1
        at(where, passed[where])

    def objective(*arguments: Any) -> torch.Tensor:
        pass_by("step")
        return known(*arguments)

    def evaluate() -> dict[str, float]:
        pass_by("evaluation")
        return evaluation()

    task = Task(ids, pad, objective, evaluate, supervision.prior_log_loss(TRUTH))
    fitted = loop.fit(model, task, spec, NUMERICS, resume)
    held = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return hashlib.sha256(held).hexdigest(), fitted


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


@pytest.mark.parametrize(("kind", "rule"), PAIRS)
def test_killed_over_and_over_it_ends_with_the_same_bits(
    kind: str, rule: str, tmp_path: Path
) -> None:
    """In a step, in an evaluation, again and again: weights, curve, best and steps are those of
    the training that nothing disturbed."""
    spec = RECIPES[rule]
    undisturbed = train(kind, spec, None)
    for where, count in (("step", 1), ("step", 3), ("evaluation", 1), ("step", 6)):

        def kill(here: str, passed: int, at: tuple[str, int] = (where, count)) -> None:
            if (here, passed) == at:
                raise Kill

        with pytest.raises(Kill):
            train(kind, spec, place(tmp_path), kill)
    assert train(kind, spec, place(tmp_path)) == undisturbed
