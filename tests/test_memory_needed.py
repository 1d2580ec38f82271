"""Memory: what a training needs is known before its first step."""

import numpy as np
import pytest
import torch

from lmspec.errors import LmspecError
from lmspec.training import footprint, loop, supervision
from lmspec.training.task import Task
from tests.test_training import NUMERICS, recipe
from tests.test_training_methods import MUON, bert

LENGTHS = (40, 12, 40, 30, 40, 40, 8, 40)
IDS = [np.arange(2, 2 + n) for n in LENGTHS]
TASK = Task(IDS, 0, supervision.supervised(np.arange(8) % 2), lambda: {"accuracy": 0.5})


def test_activations_grow_with_the_batch() -> None:
    """Those of six texts are six times what one more text adds; of a shorter text they are less."""
    model, spec = bert(), recipe(batch_size=6)
    needs = footprint.estimated(model, TASK, spec, NUMERICS)
    assert (needs.rows, needs.tokens) == (6, 40)
    one, six = (footprint._kept(model, TASK, [0] * n, NUMERICS) for n in (1, 6))
    assert six - one == pytest.approx(5 * needs.row, rel=0.02)
    assert footprint._kept(model, TASK, [1], NUMERICS) < 0.5 * one


@pytest.mark.parametrize(
    ("changes", "times"),
    [({}, 4), ({"optimizer": MUON}, 3), ({"averaging": {"kind": "ema", "decay": 0.9}}, 6)],
    ids=["adamw", "muon", "averaged"],
)
def test_copies_of_the_weights_are_counted(changes: dict[str, object], times: int) -> None:
    """Gradients, the best weights, moments of the optimizer, averages; of frozen weights none."""
    model = bert()
    weights = 4 * sum(p.numel() for p in model.parameters())
    held = footprint.estimated(model, TASK, recipe(**changes), NUMERICS).held
    assert held == pytest.approx(times * weights, rel=0.02)
    model.bert.requires_grad_(False)
    assert footprint.estimated(model, TASK, recipe(**changes), NUMERICS).held < 0.05 * held


def test_a_step_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is taken, with the largest micro-batch that fits, which then does; where nothing
    fits, with what else to lower; where the limit is not known, not at all."""
    spec = recipe(batch_size=8, epochs=1)

    def network() -> torch.nn.Module:
        model = bert()
        model.bert.embeddings.requires_grad_(False)  # else only rows that occur are trained
        return model

    needs = footprint.estimated(network(), TASK, spec, NUMERICS)

    def train(limit: int | None, **changes: object) -> None:
        monkeypatch.setattr(footprint, "available", lambda device: limit)
        loop.fit(network(), TASK, spec.model_copy(update=changes), NUMERICS)

    limit = needs.held + 3 * needs.row + needs.row // 2
    with pytest.raises(LmspecError, match="micro_batch_size: 3") as error:
        train(limit)
    assert "8 texts of 40 tokens" in str(error.value)
    train(limit, micro_batch_size=3)
    train(None)
    with pytest.raises(LmspecError, match="micro_batch_size: 3"):
        train(limit, micro_batch_size=4)
    with pytest.raises(LmspecError, match="lower max_length"):
        train(needs.held)


def test_this_machine_has_a_limit() -> None:
    """Read from the system: at least a gigabyte."""
    limit = footprint.available(torch.device("cpu"))
    assert limit is not None and limit > 2**30
