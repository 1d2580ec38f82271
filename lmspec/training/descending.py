"""descending: examples of a model that writes as a task, and its training by gradient descent."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lmspec.methods.reading import Ids
from lmspec.methods.resume import Resume
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent, Untrained
from lmspec.training import loop, writing
from lmspec.training.task import Fitted, Objective, Task

# Every batch has examples of all lengths. Batches of like lengths need no packing, but after 10 and
# 40 steps on short answers SmolLM2 loses 0.1 to 0.5 and 0.03 to 0.05 nats by them (docs/log.md).
MIXED = 1


class Examples(Protocol):
    """What formats/conversations.py reads of a split."""

    @property
    def ids(self) -> Sequence[Ids]:
        """Token ids of each."""

    @property
    def learned(self) -> Sequence[Ids]:
        """Which of them are learned."""

    @property
    def weight(self) -> NDArray[np.int64]:
        """How many those are."""

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of the text that is learned."""

    def named(self, examples: Ids) -> Sequence[str]:
        """What rows some are of."""


def task(
    network: PreTrainedModel,
    new: Examples,
    dev: Examples,
    pad_id: int,
    recipe: GradientDescent | Untrained,
    objective: Objective,
) -> Task:
    """Learn to write what is learned of the new examples; judged on that of dev.

    Raises LmspecError if the model lets examples of a packed line see each other.
    """
    packing = getattr(recipe, "packing", None)
    max_tokens = packing.max_tokens if packing else None
    if max_tokens is not None:
        writing.require_apart(network, new.ids, new.learned, pad_id, max_tokens)
    return Task(
        new.ids,
        pad_id,
        objective,
        writing.evaluation(network, dev.ids, dev.learned, dev.text_bytes, pad_id),
        named=new.named,
        dev=dev.ids,
        collate=writing.collated(new.learned, max_tokens),
        weight=new.weight,
        bucket_batches=MIXED,
    )


def smoothing(recipe: GradientDescent | Untrained) -> float:
    """Share of the target that all tokens have equally."""
    return float(getattr(getattr(recipe, "loss", None), "label_smoothing", 0.0))


def fit(
    network: PreTrainedModel,
    task: Task,
    recipe: GradientDescent,
    numerics: Numerics,
    resume: Resume | None,
) -> Fitted:
    """Train in place, with activations that are computed again if the recipe says so."""
    if recipe.checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    fitted = loop.fit(network, task, recipe, numerics, resume)
    if recipe.checkpointing:
        network.activation_checkpointing_disable()
    return fitted
