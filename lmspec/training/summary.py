"""summary: metrics of a training."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from lmspec.training.task import Fitted


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
