"""loop: fits every kind of network.

MiniLM trains at about 100 GFLOP/s on two cores, where one matrix product of its shapes reaches 135
(docs/log.md): only less work makes it faster, such as frozen embeddings and layers.
"""

import importlib
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from lmspec.methods.network import Classifier
from lmspec.methods.reading import Ids, lengths
from lmspec.methods.resume import Resume
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.training import dropping, footprint, frozen, memory, vocabulary
from lmspec.training.averaging import Average
from lmspec.training.checkpoints import Checkpoints
from lmspec.training.optimizers import Descent
from lmspec.training.order import Order
from lmspec.training.progress import Progress
from lmspec.training.state import Stateful, Weights
from lmspec.training.task import Fitted, Objective, Task
from lmspec.training.watching import Watch
from lmspec.training.world import World

PRIVATE = "lmspec.training.private"  # by its name: it is in the key of such trainings alone


def fit(
    model: Classifier,
    task: Task,
    spec: GradientDescent,
    numerics: Numerics,
    resume: Resume | None = None,
    until: int | None = None,
) -> Fitted:
    """Train in place; the model ends with the weights of its best evaluation.

    resume  where its checkpoints are: it goes on from the last one, to the same bits
    until   pause after so many steps, unless it has ended: the next call goes on from there
    Raises LmspecError if the loss is not finite, or the machine has less memory than a step needs.
    """
    memory.keep_freed()
    world = World.joined(numerics, spec, model)
    with (
        world.divided(model),
        dropping.quick(model),
        # without noise, the rows of an embedding tell which tokens do not occur
        nullcontext(task)
        if world.shards or spec.private
        else vocabulary.narrowed(model, task, spec) as narrow,
        # each of several processes would compute the states of all windows
        nullcontext(narrow)
        if world.size > 1
        else frozen.kept(model, narrow, spec, numerics) as fed,
    ):
        task = world.agreeing(fed)
        return _fit(model, task, spec, numerics, world.resumed(resume), world, until)


def _fit(
    model: Classifier,
    task: Task,
    spec: GradientDescent,
    numerics: Numerics,
    resume: Resume | None,
    world: World,
    until: int | None,
) -> Fitted:
    if not world.shards:  # of which it would count all weights
        footprint.require_memory(model, task, spec, numerics)
    private = importlib.import_module(PRIVATE) if spec.private else None
    kind = private.PoissonOrder if private else Order
    windows = lengths(task.ids).tolist()
    order = kind(windows, spec.batch_size, spec.epochs, numerics.seed, task.bucket_batches)
    descent = Descent(model, spec, order.steps)
    average = Average(descent.trained, spec, order.steps)
    watch = Watch(model, task, spec, average, order.steps)
    progress = Progress(order.steps, spec, task.curve or f"seed-{numerics.seed}")
    # All that changes from step to step, for a checkpoint: whatever else does needs a place here.
    parts: dict[str, Stateful] = {
        "weights": Weights(model),
        "descent": descent,
        "average": average,
        "watch": watch,
        "progress": progress,
    }
    with progress, Checkpoints(resume, numerics.seed, order.steps, parts) as checkpoints:
        done = checkpoints.read()
        world.require_same(done)
        mean_loss = partial(_loss, task, numerics)
        learner = (
            private.Learner(model, mean_loss, spec, numerics.seed, order, task.objective)
            if private
            else world.replicated(model, mean_loss, spec.micro_batch_size, task.weight)
        )
        progress.start(done)
        steps = order.start(done)
        holes = memory.Holes()
        while True:
            checkpoints.offer(done)
            holes.offer()
            if watch.is_due(done):
                epochs, rate = order.epochs_done(done), descent.rate(done - 1)
                look = partial(watch.look, done, epochs, rate)
                progress.evaluated(done, checkpoints.during(done, look))
            if watch.is_over(done):
                break
            if done == until:
                checkpoints.pause(done)
                return checkpoints.during(done, partial(watch.so_far, done))
            step = next(steps)
            model.train()
            # per step, so that dropout does not depend on how many draws came before
            torch.manual_seed(world.seed(numerics.seed, step.number))
            objective = task.objective
            if task.of_epoch:
                objective = task.of_epoch(step.number // order.steps_per_epoch)
            loss = learner.backward(objective, step)
            done = step.number + 1
            watch.add(done, step.rows, loss, descent.largest)
            descent.step(step.number)
            average.add(step.number)
            if watch.last_loss is not None:
                progress.show(done, watch.last_loss)
        if spec.seeds > 1:
            checkpoints.finish(done, "watch", "progress")
    return watch.finish(done)


def _loss(
    task: Task, numerics: Numerics, model: Classifier, objective: Objective, rows: Ids
) -> Tensor:
    batch = task.collate(task.ids, rows, task.pad_id)  # (b, t), t of the longest text in it
    input_ids = placed(batch.input_ids, model.device)  # (b, t) int64
    attention_mask = placed(batch.attention_mask, model.device)  # (b, t) int64
    # bf16 has the exponent range of fp32, so its gradients need no loss scaling
    with torch.autocast(model.device.type, torch.bfloat16, enabled=numerics.precision == "bf16"):
        return objective(model, batch, input_ids, attention_mask)


def placed(array: Ids, device: torch.device) -> Tensor:
    """The array on the device; a card copies it while the processor goes on."""
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
