"""On a machine with a CUDA device: `pytest -m gpu`."""

import math

import pytest
import torch

from lmspec.errors import LmspecError
from lmspec.training import loop, supervision
from lmspec.training.task import Task
from tests.test_shortcuts import encoder, task
from tests.test_training import NUMERICS, TRUTH, alone, make, recipe, weights

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_training_on_a_gpu_repeats_to_the_bit(
    kind: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the same weights; the model learns what the CPU's learns."""
    assert torch.cuda.is_available(), "this test needs a CUDA device"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    found = []
    for _ in range(2):
        model, ids, pad = make(kind)
        model.to("cuda")
        evaluate = supervision.evaluation(model, alone(ids), TRUTH, pad)
        numerics = NUMERICS.model_copy(update={"precision": precision})
        task = Task(ids, pad, supervision.supervised(TRUTH), evaluate)
        fitted = loop.fit(model, task, recipe(epochs=6), numerics)
        found.append(weights(model.cpu()))
        assert fitted.best["dev_accuracy"] > 0.9
    assert found[0] == found[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_encoder_on_a_gpu_repeats_to_the_bit(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, and losses that are read several at once: each step's is in the curve."""
    assert torch.cuda.is_available(), "this test needs a CUDA device"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    numerics = NUMERICS.model_copy(update={"precision": precision})
    found = []
    for _ in range(2):
        model = encoder(dropout=0.1).to("cuda")
        fitted = loop.fit(model, task(model), recipe(epochs=4), numerics)
        found.append((weights(model.cpu()), fitted.curve))
        assert all(math.isfinite(row["train_loss"]) for row in fitted.curve)
    assert found[0] == found[1]


def test_a_loss_that_is_not_finite_is_found_on_a_gpu() -> None:
    """Some steps after it, and with its number."""
    model = encoder().to("cuda")
    broken = task(model)

    def objective(*arguments: object) -> torch.Tensor:
        calls.append(1)
        loss = broken.objective(*arguments)
        return loss * float("nan") if len(calls) == 3 else loss

    calls: list[int] = []
    given = Task(broken.ids, broken.pad_id, objective, broken.evaluate)
    with pytest.raises(LmspecError, match="at step 3"):
        loop.fit(model, given, recipe(epochs=4), NUMERICS)
