"""summary: metrics of a training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmspec.methods.network import Classifier
from lmspec.specs.results import ESTIMATES, WATCHED
from lmspec.training.task import Fitted


def metrics(model: Classifier, fitted: Fitted, others: Sequence[Fitted]) -> dict[str, Any]:
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
    return report | (
        {"seeds": seeds, "over_seeds": over_seeds([*seeds.values()])} if others else {}
    )


def over_seeds(results: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean of each metric over n seeds, and `low` and `high`, its 95 % interval: Student's t.

    results  at least two, of the same model
    """
    from scipy import special  # a tenth of a second, for several seeds alone

    n = len(results)
    names = [name for name in WATCHED if name in results[0]]
    values = np.asarray([[result[name] for name in names] for result in results])  # (n, m)
    mean = values.mean(0)
    half = special.stdtrit(n - 1, 0.975) * values.std(0, ddof=1) / math.sqrt(n)
    intervals = (mean, mean - half, mean + half)
    return {
        which: dict(zip(names, estimate.tolist(), strict=True))
        for which, estimate in zip(ESTIMATES, intervals, strict=True)
    }


def _best(fitted: Fitted) -> dict[str, float]:
    return {
        name.removeprefix("dev_"): value
        for name, value in fitted.best.items()
        if name.startswith("dev_")
    }
