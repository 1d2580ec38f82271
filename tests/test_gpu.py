"""On a machine with a CUDA device: `pytest -m gpu`."""

import pytest
import torch

from lmspec.training import loop, supervision
from lmspec.training.task import Task
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
