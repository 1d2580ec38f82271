"""updating: which old rows are replayed, and the loss that retains the earlier model's outputs."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmspec.errors import LmspecError
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Batch
from lmspec.specs.training import CrossEntropy, Focal
from lmspec.specs.updated import Retention, UpdatedSpec
from lmspec.training import losses, weighting
from lmspec.training.distilling import Answers, soft_cross_entropy
from lmspec.training.task import Objective

REPLAY = 2  # number of its stream of draws


def replayed(
    available: int, new_rows: int, per_new_row: float, seed: int, which: int
) -> NDArray[np.int64]:
    """Positions of the old rows to replay, ascending: uniform, without replacement; at most all.

    which  number of the replayed dataset, so that two of the same size draw differently
    """
    size = min(available, round(new_rows * per_new_row))
    if size == 0:
        raise LmspecError(
            "updated.replay",
            f"{per_new_row:g} old rows per new row are none of {available}",
            "raise per_new_row",
        )
    rng = np.random.default_rng([seed, REPLAY, which])
    return np.sort(rng.choice(available, size, replace=False))


def require_trained_on(
    seen: Mapping[str, Sequence[str]], spec: UpdatedSpec, made_from: Mapping[str, str]
) -> None:
    """Raise LmspecError if rows would be replayed that the earlier model was not trained on.

    seen       data -> which parts of it that model has seen
    made_from  augmented data -> the splits behind it, which are what its models have seen
    """
    trained = [splits for splits, parts in seen.items() if "train" in parts]
    for replay in spec.replay:
        if made_from.get(replay.of, replay.of) not in trained:
            raise LmspecError(
                "updated.replay",
                f"{spec.of} was not trained on {replay.of}",
                f"it was trained on {' and '.join(trained)}",
            )


def retaining(
    truth: NDArray[np.int64],
    weights: NDArray[np.float32] | None,
    earlier: Answers,
    new: int,
    spec: Retention,
    against: CrossEntropy | Focal | None = None,
) -> Objective:
    """Loss against the labels on all texts, and the earlier model's outputs on old ones.

    truth, weights  (w,) of each window, those of new texts first: position of its label, and how
                    much it counts
    earlier         outputs of the earlier model on the w - new windows of old texts
    """
    targets = torch.from_numpy(truth)

    def loss(model: Classifier, batch: Batch, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits.float()
        rows = torch.from_numpy(batch.rows)  # (b,)
        share = weighting.of_batch(weights, batch, logits)
        total = losses.against_labels(logits, targets[rows].to(logits.device), share, against)
        old = rows >= new  # (b,) bool
        if old.any():
            # times their share of the batch, so that an old row weighs the same in every batch
            kept = soft_cross_entropy(
                logits[old],
                earlier.logits[rows[old] - new],
                spec.temperature,
                None if share is None else share[old],
            )
            total = total + spec.weight * kept * (old.sum().item() / len(rows))
        return total

    return loss
