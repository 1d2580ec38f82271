"""footprint: the memory that a training needs, known before its first step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from lmspec.errors import LmspecError
from lmspec.methods.network import Classifier
from lmspec.methods.reading import collate, lengths
from lmspec.specs.checks.training import copies_of_weights
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.training.task import Task

GIB = 2**30


@dataclass(frozen=True)
class Footprint:
    """Bytes beside what the model has when the training begins.

    held    gradients, states of the optimizer, copies of the weights, kept states of frozen layers
    row     activations of one window of `tokens` tokens, the longest
    rows    windows that are computed at once
    """

    held: int
    row: int
    rows: int
    tokens: int

    @property
    def total(self) -> int:
        """Of a step."""
        return self.held + self.row * self.rows

    def refused(self, limit: int) -> LmspecError:
        """The error of a machine with so many bytes."""
        found = (
            f"a step needs about {self.total / GIB:.1f} GiB, and there are {limit / GIB:.1f}:"
            f" {self.held / GIB:.1f} for gradients, optimizer, copies of weights and kept states,"
            f" {self.row * self.rows / GIB:.1f} for {self.rows} texts of {self.tokens:,} tokens"
        )
        fitting = (limit - self.held) // max(1, self.row)
        smaller = "lower max_length, freeze layers, or take a smaller network"
        remedy = f"write `micro_batch_size: {fitting}`" if fitting > 0 else smaller
        return LmspecError("training", found, remedy)


def require_memory(
    model: Classifier, task: Task, spec: GradientDescent, numerics: Numerics
) -> None:
    """Raise LmspecError if the machine, or the card, has less memory than a step needs."""
    needs = estimated(model, task, spec, numerics)
    limit = available(model.device)
    if limit is not None and needs.total > limit:
        raise needs.refused(limit)


def estimated(
    model: Classifier, task: Task, spec: GradientDescent, numerics: Numerics
) -> Footprint:
    """Activations are those that autograd keeps of the longest text, by what a second one adds."""
    longest = int(lengths(task.ids).argmax())
    one, two = (_kept(model, task, [longest] * n, numerics) for n in (1, 2))
    rows = min(spec.micro_batch_size or spec.batch_size, len(task.ids))
    weights = sum(p.numel() * 4 for p in model.parameters() if p.requires_grad)
    held = copies_of_weights(spec.model_dump()) * weights
    held += max(0, 2 * one - two) + task.kept_bytes
    return Footprint(held, two - one, rows, len(task.ids[longest]))


def _kept(model: Classifier, task: Task, rows: Sequence[int], numerics: Numerics) -> int:
    """Bytes that autograd keeps of a forward pass, without the weights.

    Of a task with batches of its own also those of its loss, whose width is the vocabulary's.
    """
    batch = task.collate(task.ids, rows, task.pad_id)
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    sizes: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage._cdata not in own:
            sizes[storage._cdata] = storage.nbytes()
        return value

    given = {
        "input_ids": torch.from_numpy(batch.input_ids).to(model.device),
        "attention_mask": torch.from_numpy(batch.attention_mask).to(model.device),
    }
    model.train()
    bf16 = numerics.precision == "bf16"
    with (
        saved_tensors_hooks(note, lambda value: value),
        torch.autocast(model.device.type, torch.bfloat16, enabled=bf16),
    ):
        # alive, so that no storage is counted for another
        if task.collate is collate:
            output = model(**given).logits
        else:
            output = task.objective(model, batch, given["input_ids"], given["attention_mask"])
    del output
    return sum(sizes.values())


def available(device: torch.device) -> int | None:
    """Bytes that a process could have at most: of the machine, its cgroup or the card.

    None if it is not known. What others use now is not subtracted: they may end.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    limits = []
    for path, field in (("/proc/meminfo", "MemTotal:"), ("/sys/fs/cgroup/memory.max", "")):
        try:
            words = Path(path).read_text().split()
        except OSError:
            continue
        word = words[words.index(field) + 1] if field else words[0]
        if word.isdigit():
            limits.append(int(word) * (1024 if field else 1))
    return min(limits, default=None)
