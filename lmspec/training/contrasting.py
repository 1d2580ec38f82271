"""contrasting: an encoder learns which texts share a label, by the pairs of each batch.

Source: Tunstall et al. 2022, arXiv:2209.11055 (SetFit), who draw pairs and compute both texts of
each. A batch of b texts has b * (b - 1) / 2 pairs, at the cost of b texts.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmspec.errors import LmspecError
from lmspec.methods.reading import Batch, Ids, collate
from lmspec.methods.resume import Resume
from lmspec.specs.numerics import Numerics
from lmspec.specs.optimizers import Adamw
from lmspec.specs.training import Contrastive, EarlyStopping, GradientDescent
from lmspec.training import loop
from lmspec.training.task import Fitted, Task, positions

Network = Any  # an architectures.embedding.OnEncoder
AT_THE_END = 10**9  # steps between evaluations: there is none before the end


def fit(
    network: Network,
    ids: Sequence[Ids],
    truth: NDArray[np.int64],
    pad_id: int,
    spec: Contrastive,
    numerics: Numerics,
    resume: Resume | None = None,
    named: Callable[[Ids], Sequence[str]] = positions,
    others: bool = False,
) -> Fitted:
    """Train the encoder in place; its weights are those of the last step.

    ids, truth  of each training window: its tokens, and the position of its text's label
    others      do other trainings of the stage follow? Then a killed stage does not repeat it
    Raises LmspecError if all windows have one label, or no two of them share any.
    """
    require_pairs(truth)
    recipe = descent(spec, len(ids), others)
    # of batches of one length, the same texts would meet in every epoch
    task = Task(ids, pad_id, pairwise(truth), dict, named=named, collate=together, bucket_batches=1)
    thaw(network, spec)
    try:
        # one process: of a part of a batch there are fewer pairs
        alone = numerics.model_copy(update={"world": None, "sharding": None})
        return loop.fit(network, task, recipe, alone, resume)
    finally:
        network.requires_grad_(False).eval()


def together(ids: Sequence[Ids], rows: Sequence[int] | Ids, pad_id: int) -> Batch:
    """As `reading.collate`. Of batches of a task's own the loop keeps no states of frozen layers:
    it would compare logits, and the head is not fitted yet."""
    return collate(ids, rows, pad_id)


def require_pairs(truth: NDArray[np.int64]) -> None:
    """Raise LmspecError if there is no pair of one label, or none of two."""
    counts = np.unique(truth, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        what = "share a label" if counts.max() < 2 else "have different labels"
        found = f"no two of the {len(truth)} training texts {what}"
        raise LmspecError("training", found, "give at least two texts of each of two labels")


def descent(spec: Contrastive, windows: int, others: bool) -> GradientDescent:
    """The loop that takes these steps."""
    return GradientDescent(
        kind="gradient_descent",
        epochs=max(1, math.ceil(spec.steps / math.ceil(windows / spec.batch_size))),
        batch_size=spec.batch_size,
        optimizer=Adamw(kind="adamw", **spec.optimizer.model_dump()),
        warmup_fraction=spec.warmup_fraction,
        decay="linear",
        max_gradient_norm=spec.max_gradient_norm,
        class_weights="none",
        early_stopping=EarlyStopping(metric="log_loss", evaluation_steps=AT_THE_END, patience=1),
        seeds=1 + others,
    )


def pairwise(truth: NDArray[np.int64]) -> Callable[[Network, Batch, Tensor, Tensor], Tensor]:
    """Squared error of the cosines of a batch's pairs: 1 within a label, 0 between two.

    The mean of both kinds of pairs, of those that the batch has.
    """
    labels = torch.from_numpy(truth)

    def loss(model: Network, batch: Batch, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = model.pooled(input_ids, attention_mask).float()  # (b, h), of length 1
        label = labels[batch.rows].to(states.device)
        same = label[:, None] == label[None, :]
        apart = (states @ states.T - same.float()).square()
        pairs = ~torch.eye(len(label), dtype=torch.bool, device=states.device)
        kinds = [apart[pairs & same], apart[~same]]
        # a batch of one text has no pair, and moves nothing
        means = [kind.mean() for kind in kinds if len(kind)] or [(states * 0).sum()]
        return torch.stack(means).mean()

    return loss


def thaw(network: Network, spec: Contrastive) -> None:
    """Train the encoder without what the spec freezes, its pooler and the head: no loss sees these.

    Raises LmspecError if it has fewer layers than are to be frozen.
    """
    network.requires_grad_(False)
    body = network.body
    depth = getattr(body.config, "num_hidden_layers", None)
    stacks = [m for m in body.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    if spec.frozen_layers and (not stacks or spec.frozen_layers > len(stacks[0])):
        found = f"{spec.frozen_layers} is more than the encoder's {depth or 0} layers"
        raise LmspecError("training.frozen_layers", found, "lower it")
    body.requires_grad_(True)
    frozen = [*(stacks[0][: spec.frozen_layers] if stacks else ())]
    frozen += [body.get_input_embeddings()] * spec.frozen_embeddings
    frozen += [body.pooler] * (getattr(body, "pooler", None) is not None)
    for module in frozen:
        module.requires_grad_(False)
