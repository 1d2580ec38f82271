"""order: which rows make each batch of an epoch."""

from collections.abc import Sequence

import numpy as np

from lmspec.methods.reading import Ids

# Rows of this many batches are sorted by length before they are cut. On 9,292 movie reviews in
# batches of 16, 2.3 % of the tokens are padding then; 46 % without, 0.2 % if all are sorted.
BUCKET_BATCHES = 50
ORDER = 1  # number of its stream of draws


def training_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[Ids]:
    """Rows of each batch of an epoch: shuffled, bucketed by length, then batches shuffled again.

    A function of its arguments alone, so that a run which resumes anywhere sees the same order.
    """
    rng = np.random.default_rng([seed, ORDER, epoch])
    rows = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(rows), batch_size * BUCKET_BATCHES):
        bucket = rows[start : start + batch_size * BUCKET_BATCHES]
        bucket = bucket[np.argsort([lengths[i] for i in bucket], kind="stable")]
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
