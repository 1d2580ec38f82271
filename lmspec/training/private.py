"""private: DP-SGD: rows drawn by chance, their gradients clipped, and noise added to the sum.

Source: Abadi et al. 2016, arXiv:1607.00133; its accounting: Gopi et al. 2021, arXiv:2106.02848, by
opacus. Only trainings whose spec has `private` import this file, and with it opacus.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from lmspec.errors import LmspecError
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Ids
from lmspec.specs.training import GradientDescent, Private
from lmspec.training.clipping import Gradients, Rows
from lmspec.training.order import Order, Step
from lmspec.training.progress import say
from lmspec.training.task import Objective

SAMPLE, NOISE = 21, 22  # numbers of their streams of draws
DIGITS = 3  # of the noise multiplier: two machines that count a little apart train the same
AT_ONCE = 16  # rows of a batch differ in length: few of similar length have little padding
PROBES = 5
ALIKE = 1e-3  # of the norm of a row's gradient, in its batch and alone
PLACE = "training.private"
Loss = Callable[[Classifier, Objective, Ids], Tensor]  # mean over the rows


class Spent(TypedDict):
    """What a training spends on each of its rows, at most.

    epsilon           as the accountant has it, with delta
    noise_multiplier  standard deviation of the noise, in norms that gradients are clipped to
    sampled           probability of a row to be in a step's batch
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    sampled: float
    steps: int
    rows: int


@dataclass(frozen=True)
class PoissonOrder(Order):
    """Each row is in each batch with the same probability, whatever the others are.

    A batch has `batch_size` rows on average, the shortest first.
    """

    @property
    def sampled(self) -> float:
        """Probability of a row to be in a batch."""
        return min(1.0, self.batch_size / len(self.lengths))

    def start(self, number: int) -> Iterator[Step]:
        """The steps from that number on."""
        by_length = np.argsort(self.lengths, kind="stable")
        for step in range(number, self.steps):
            draws = np.random.default_rng([self.seed, SAMPLE, step]).random(len(self.lengths))
            yield Step(step, by_length[draws[by_length] < self.sampled])


class Learner:
    """Gives a model the gradients of a step's rows, clipped and noised."""

    def __init__(
        self,
        model: Classifier,
        loss: Loss,
        spec: GradientDescent,
        seed: int,
        order: PoissonOrder,
        objective: Objective,
    ) -> None:
        """Raises LmspecError if the rows' gradients are not known, or delta is not small."""
        self.model, self.loss, self.spec, self.seed = model, loss, spec, seed
        self.spent = spent(spec, len(order.lengths))
        self.deviation = self.spent["noise_multiplier"] * spec.max_gradient_norm
        self.rows = Rows(model)
        self._require_rows_apart(objective, order)
        say(
            "private: epsilon {epsilon:.3f} with delta {delta:g}, noise multiplier"
            " {noise_multiplier:g}, {steps:,} steps of {rows:,} rows".format(**self.spent)
        )

    def backward(self, objective: Objective, step: Step) -> Tensor:
        """Set the gradients; returns the mean loss of the rows, 0 without any."""
        total: Gradients = {}
        loss = torch.zeros((), device=self.model.device)
        for rows in step.parts(self.spec.micro_batch_size or AT_ONCE):
            compute = partial(self.loss, self.model, objective, rows)
            found = self.rows.clipped(compute, len(rows), self.spec.max_gradient_norm)
            for weight, part in found.gradients.items():
                total[weight] = total[weight] + part if weight in total else part
            loss = loss + found.loss * (len(rows) / len(step.rows))
        self._add_noise(total, step.number)
        return loss

    def _add_noise(self, total: Gradients, step: int) -> None:
        """Drawn for each step from the seed, in the order of the weights' names."""
        draw = np.random.default_rng([self.seed, NOISE, step])
        for weight in self.rows.trained.values():
            noise = torch.from_numpy(draw.standard_normal(tuple(weight.shape), np.float32))
            noise = noise.to(weight.device) * self.deviation
            summed = total[weight] + noise if weight in total else noise
            # what is expected, since how many rows were drawn is to be hidden too
            weight.grad = summed / self.spec.batch_size

    def _require_rows_apart(self, objective: Objective, order: PoissonOrder) -> None:
        """Raise LmspecError if a row's gradient depends on its company, or is none of its own.

        Of rows from the shortest to the longest, without dropout: clipped in one batch, and each
        alone as autograd has it.
        """
        places = np.linspace(0, len(order.lengths) - 1, PROBES).astype(int)
        probes = np.unique(np.argsort(order.lengths, kind="stable")[places])
        weights = [*self.rows.trained.values()]
        self.model.eval()
        alone = []
        for row in probes:
            loss = self.loss(self.model, objective, np.asarray([row]))
            alone.append(torch.autograd.grad(loss, weights, materialize_grads=True))
        norms = torch.stack([torch.nn.utils.get_total_norm(gradients) for gradients in alone])
        limit = float(norms.max()) / 2  # some are clipped
        factors = (limit / norms).clamp(max=1.0)
        compute = partial(self.loss, self.model, objective, probes)
        together = self.rows.clipped(compute, len(probes), limit)
        apart = torch.zeros((), device=self.model.device)
        for weight, *own in zip(weights, *alone, strict=True):
            expected = sum(each * factor for each, factor in zip(own, factors, strict=True))
            summed = together.gradients.get(weight, torch.zeros_like(weight))
            apart += (summed - expected).square().sum()
        same = bool(((together.norms - norms).abs() <= ALIKE * norms.max()).all())
        if not same or not math.sqrt(float(apart)) <= ALIKE * limit:
            found = "a row's gradient in a batch is not what it is alone"
            raise LmspecError(PLACE, found, "train this model without `private`")


def spent(spec: GradientDescent, rows: int) -> Spent:
    """What a training on so many rows spends: the least noise that keeps within its epsilon.

    Counted over all steps, also where it stops early: when it does depends on what it has learned.
    Raises LmspecError if delta is not small against the rows.
    """
    assert spec.private is not None
    order = PoissonOrder([0] * rows, spec.batch_size, spec.epochs, 0)
    if spec.private.delta * rows >= 1:
        found = f"delta is {spec.private.delta:g}, and 1 of {rows:,} rows is {1 / rows:.2g}:"
        found = f"{found} the guarantee would allow to publish a row"
        raise LmspecError(f"{PLACE}.delta", found, f"lower it, to {0.1 / rows:.0e} or less")
    noise = _least_noise(spec.private, order.sampled, order.steps)
    return {
        "epsilon": epsilon(noise, order.sampled, order.steps, spec.private.delta),
        "delta": spec.private.delta,
        "noise_multiplier": noise,
        "sampled": order.sampled,
        "steps": order.steps,
        "rows": rows,
    }


def epsilon(noise: float, sampled: float, steps: int, delta: float) -> float:
    """An upper bound of what so many steps spend."""
    try:
        from opacus.accountants import PRVAccountant
    except ImportError:
        remedy = "pip install 'lmspec[private]', then `lmspec sync`"
        raise LmspecError(PLACE, "opacus is not installed, which counts epsilon", remedy) from None
    accountant = PRVAccountant()
    accountant.history = [(noise, sampled, steps)]
    return float(accountant.get_epsilon(delta))


def _least_noise(private: Private, sampled: float, steps: int) -> float:
    """In steps of 1e-3, whose epsilon is not above that of the spec."""

    def fits(number: int) -> bool:
        found = epsilon(number / 10**DIGITS, sampled, steps, private.delta)
        return found <= private.epsilon

    low = 10**DIGITS
    while low > 1 and fits(low):  # not from below: little noise takes the accountant long
        low //= 2
    high = 2 * low
    while not fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return float(high / 10**DIGITS)
