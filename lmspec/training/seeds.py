"""seeds: a generator for each use and step, and trainings with further seeds."""

import hashlib
from collections.abc import Callable

import torch

from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.training import progress
from lmspec.training.task import Fitted


def derived_seed(seed: int, use: str, step: int) -> int:
    """A separate seed for each use and step: another draw elsewhere shifts none of these."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{use}:{step}".encode()).digest()[:4])


def seed_weights(numerics: Numerics) -> None:
    """Seed the weights of the network that is created next, as far as they are not pretrained."""
    torch.manual_seed(derived_seed(numerics.seed, "weights", 0))


def over_seeds(
    train: Callable[[Numerics], Fitted], spec: GradientDescent, numerics: Numerics
) -> list[Fitted]:
    """Train once more with each further seed of the spec; results in order.

    train  creates a network and fits it, with the numerics that it is given
    """
    others = []
    for number in range(2, spec.seeds + 1):
        progress.say(f"seed {number} of {spec.seeds}")
        others.append(train(numerics.model_copy(update={"seed": numerics.seed + number - 1})))
    return others
