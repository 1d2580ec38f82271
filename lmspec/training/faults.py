"""faults: what ends a training before its end, with what it takes to find the cause."""

import math

from torch import Tensor

from lmspec.errors import LmspecError, some
from lmspec.methods.reading import Ids
from lmspec.training.task import Task


def not_finite(
    task: Task, rows: Ids, loss: float, step: int, before: float | None, largest: Tensor
) -> LmspecError:
    """The error of a loss that is not a number, or infinite.

    rows     (b,) windows of its batch
    step     from 1
    before   the last loss, which was finite; None at the first step
    largest  norm of the largest gradient of the steps before, unclipped
    """
    found = f"the loss is {loss} at step {step:,}, on the texts {some(task.named(rows))}"
    norm = float(largest)
    if before is not None:
        found += f"; it was {before:.4g} at the step before"
        found += f", and the largest gradient so far had the norm {norm:.4g}" * math.isfinite(norm)
        found += ", after which a gradient was not finite" * (not math.isfinite(norm))
    remedy = "lower peak_learning_rate, or lengthen the warm-up"
    if before is None:
        remedy = "look at these texts; the weights to start from, or the teacher, may be damaged"
    return LmspecError("training", found, remedy)
