"""schedule: the learning rate over the steps of a training."""

import math


def learning_rate_factor(step: int, total: int, warmup_fraction: float, decay: str) -> float:
    """Share of the peak learning rate at a step (from 0): linear warm-up, then decay to 0."""
    warmup = round(total * warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[
        decay
    ]
