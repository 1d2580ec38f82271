"""bench/active: how many labels a queue saves, by simulation: labels are known and are revealed.

    python bench/active.py > bench/active.md            (nine minutes on two busy cores)

70 % of a data set are the pool, the others test texts. Each simulation begins with the same random
rows and goes on in steps, as `queue` and `lmspec label` do. Labels that are needed: until the test
accuracy first reaches 99 % of that with all labels of the pool, between two steps interpolated.
"""

import sys
from collections.abc import Iterator
from typing import Any

import listing  # beside this file
import numpy as np
from numpy.typing import NDArray

from lmspec.methods import folds, querying
from lmspec.specs.features import Frozen, Ngrams

SETS = ("question-types", "sms-spam", "tweets")
KINDS: dict[str, Frozen | Ngrams] = {"embedding": listing.FROZEN, "linear": listing.NGRAMS}
STRATEGIES: tuple[querying.Strategy, ...] = ("random", "margin", "entropy", "diverse")
SEEDS, STEPS = 5, 40
POOL, TARGET, MOST = 0.7, 0.99, 0.6
LEAST = 50  # rows of a step


class Simulation:
    """One cut of a data set: pool and test texts."""

    def __init__(self, features: Any, truth: NDArray[np.int64], inverse: float, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(truth))
        size = round(POOL * len(truth))
        self._pool, self._pool_truth = features[order[:size]], truth[order[:size]]
        self._test, self._test_truth = features[order[size:]], truth[order[size:]]
        self._inverse, self._labels, self._seed = inverse, int(truth.max()) + 1, seed
        self.step = max(LEAST, size // STEPS)

    def accuracy(self, rows: NDArray[np.int64]) -> tuple[float, Any]:
        """(test accuracy, classifier) of what is fitted to rows of the pool."""
        classify = folds.fitted(
            self._pool[rows], self._pool_truth[rows], self._inverse, self._labels
        )
        right = classify(self._test).argmax(1) == self._test_truth
        return float(right.mean()), classify

    def whole(self) -> float:
        """With all labels of the pool."""
        return self.accuracy(np.arange(len(self._pool_truth)))[0]

    def curve(self, strategy: querying.Strategy) -> Iterator[tuple[int, float]]:
        """(labels, accuracy), step by step, until there are no more."""
        size = len(self._pool_truth)
        rows = querying.shuffled(size, self.step, self._seed)
        while True:
            reached, classify = self.accuracy(rows)
            yield len(rows), reached
            left = np.setdiff1d(np.arange(size), rows)
            if not len(left):
                return
            if strategy == "random":
                chosen = querying.shuffled(len(left), self.step, self._seed + len(rows))
            else:
                rest = self._pool[left]
                chosen = querying.order(strategy, classify(rest), rest, self.step, self._seed)
            rows = np.concatenate([rows, left[chosen]])

    def needed(self, strategy: querying.Strategy, target: float) -> float:
        """Labels until the accuracy is reached."""
        labels, before = 0.0, 0.0
        for labels_now, now in self.curve(strategy):
            if now >= target:
                share = (target - before) / (now - before)
                return labels + share * (labels_now - labels) if labels else float(labels_now)
            labels, before = float(labels_now), now
        return labels


def main() -> None:
    """The table."""
    print("# Queue: labels that active learning saves, by simulation\n")
    print(
        f"Labels until the test accuracy is {TARGET:.0%} of that with the whole pool; means of"
        f" {SEEDS} seeds. *Share*: of the labels that random order needs, by seed, with a 95 %"
        " interval.\n"
    )
    print("| data set | features | pool | accuracy | strategy | labels | share of random |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: |")
    for name in sys.argv[1:] or SETS:
        texts, truth = listing.texts(name)
        for kind, spec in KINDS.items():
            features = listing.read(spec, name, texts)
            needed: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
            full = []
            for seed in range(SEEDS):
                cut = Simulation(features, truth, spec.inverse_regularization, seed)
                full.append(cut.whole())
                for strategy in STRATEGIES:
                    needed[strategy].append(cut.needed(strategy, TARGET * full[-1]))
                    listing.note(f"{name} {kind} {seed} {strategy}: {needed[strategy][-1]:.0f}")
            row = f"| {name} | {kind} | {round(POOL * len(truth)):,} | {np.mean(full):.3f}"
            for strategy, labels in needed.items():
                shares = [one / two for one, two in zip(labels, needed["random"], strict=True)]
                mean, low, high = listing.interval(shares)
                share = "1" if strategy == "random" else f"{mean:.2f} [{low:.2f}, {high:.2f}]"
                print(f"{row} | {strategy} | {np.mean(labels):,.0f} | {share} |", flush=True)


if __name__ == "__main__":
    main()
