"""schedule: the learning rate over the steps of a training."""

import math

from lmspec.specs.training import GradientDescent


def learning_rate_factor(step: int, total: int, spec: GradientDescent) -> float:
    """Share of the peak learning rate at a step (from 0): linear warm-up, peak, decay to 0."""
    warmup = round(total * spec.warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    length = total - warmup
    if spec.decay_fraction is not None:
        length = min(length, max(1, round(total * spec.decay_fraction)))
    done = max(0, step - (total - length)) / max(1, length)
    match spec.decay:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - done
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
