"""loop: fits every kind of network.

MiniLM trains at about 100 GFLOP/s on two cores, where one matrix product of its shapes reaches 135
(docs/log.md): only less work makes it faster, such as frozen embeddings and layers.
"""

import math

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.errors import LmspecError
from lmspec.methods.reading import Batch, collate
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.training import optimizers
from lmspec.training.order import training_order
from lmspec.training.progress import Progress
from lmspec.training.seeds import derived_seed
from lmspec.training.task import Fitted, Objective, Task
from lmspec.training.watching import Watch


def fit(model: PreTrainedModel, task: Task, spec: GradientDescent, numerics: Numerics) -> Fitted:
    """Train in place; the model ends with the weights of its best evaluation.

    Raises LmspecError if the loss is not finite.
    """
    per_epoch = math.ceil(len(task.ids) / spec.batch_size)
    total = per_epoch * spec.epochs
    optimizer, schedule = optimizers.create(model, spec, total)
    watch = Watch(model, task, spec)
    progress = Progress(total, spec.batch_size)
    every = spec.early_stopping.evaluation_steps
    lengths = [len(i) for i in task.ids]
    step = 0
    for epoch in range(spec.epochs):
        model.train()
        for at, rows in enumerate(
            training_order(lengths, spec.batch_size, numerics.seed, epoch), start=1
        ):
            # per step, so that dropout does not depend on how many draws came before
            torch.manual_seed(derived_seed(numerics.seed, "dropout", step))
            batch = collate(task.ids, rows, task.pad_id)  # (b, t), t of the longest text in it
            loss = _loss(model, batch, task.objective, numerics)
            if not torch.isfinite(loss):
                raise LmspecError(
                    "training",
                    f"the loss is {loss.item()} at step {step + 1}",
                    "lower peak_learning_rate",
                )
            learning_rate = optimizer.param_groups[0]["lr"]  # of this step: the schedule moves on
            _descend(loss, optimizer, spec.max_gradient_norm)
            schedule.step()
            step += 1
            watch.losses.append(loss.item())
            progress.show(step, watch.losses[-1])
            if step % every == 0 or step == total:
                progress.evaluated(step, watch.look(step, epoch + at / per_epoch, learning_rate))
                if watch.waited >= spec.early_stopping.patience:
                    return watch.finish(step)
                model.train()
    return watch.finish(step)


def _loss(model: PreTrainedModel, batch: Batch, objective: Objective, numerics: Numerics) -> Tensor:
    input_ids = torch.from_numpy(batch.input_ids).to(model.device)  # (b, t) int64
    attention_mask = torch.from_numpy(batch.attention_mask).to(model.device)  # (b, t) int64
    # bf16 has the exponent range of fp32, so its gradients need no loss scaling
    with torch.autocast(model.device.type, torch.bfloat16, enabled=numerics.precision == "bf16"):
        return objective(model, batch, input_ids, attention_mask)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, max_gradient_norm: float) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(
        [p for group in optimizer.param_groups for p in group["params"]], max_gradient_norm
    )
    optimizer.step()
