"""proposing: which values the next trial of a search has, by optuna's samplers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from lmspec.specs.results import WATCHED

LARGEST_GRID = 100_000  # combinations that are listed; of more, hardly one is drawn twice
DIGITS = 3  # of a fraction: no learning rate needs more, and params.yaml stays readable
Values = dict[str, Any]  # path of a field -> value


@dataclass(frozen=True)
class Span:
    """Numbers between two bounds, both included. whole: no fractions."""

    low: float
    high: float
    log: bool
    whole: bool


Space = Mapping[str, Sequence[Any] | Span]  # path of a field -> its values


def propose(
    space: Space,
    sampler: str,
    seed: int,
    trials: int,
    metric: str,
    evaluate: Callable[[Values], float],
) -> None:
    """Evaluate so many trials, one after another; a wider search begins with the same ones.

    evaluate  values -> the metric, from which `tpe` learns
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if WATCHED[metric] == "higher" else "minimize",
        sampler=_sampler(space, sampler, seed),
    )
    study.optimize(lambda trial: evaluate(_values(trial, space)), n_trials=trials)


def _sampler(space: Space, sampler: str, seed: int) -> optuna.samplers.BaseSampler:
    if sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    choices = {path: range(len(v)) for path, v in space.items() if not isinstance(v, Span)}
    if len(choices) == len(space) and math.prod(map(len, choices.values())) <= LARGEST_GRID:
        return optuna.samplers.GridSampler(choices, seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


def _values(trial: optuna.Trial, space: Space) -> Values:
    return {path: _value(trial, path, within) for path, within in space.items()}


def _value(trial: optuna.Trial, path: str, within: Sequence[Any] | Span) -> Any:
    if not isinstance(within, Span):
        # by its position: a value may be a list, which optuna does not take
        return within[trial.suggest_categorical(path, range(len(within)))]
    if within.whole:
        return trial.suggest_int(path, int(within.low), int(within.high), log=within.log)
    drawn = trial.suggest_float(path, within.low, within.high, log=within.log)
    return min(within.high, max(within.low, float(f"{drawn:.{DIGITS}g}")))
