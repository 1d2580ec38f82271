"""bench/suspects: how many planted label errors are among the first suspects, beside cleanlab.

    pip install 'cleanlab>=2.9,<3'
    python bench/suspects.py > bench/suspects.md      (ten minutes on two cores)

Of each data set 5 % of the labels are turned to another one, drawn evenly; 20 draws. k is their
number. All rows are ranked by `stages/suspects.py`'s functions, and by cleanlab: by its ranking of
the same probabilities, and by its own cross-validation of the same classifier (CleanLearning).
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import listing  # beside this file
import numpy as np
from cleanlab.classification import CleanLearning
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lmspec.methods import confident, folds
from lmspec.specs.features import Frozen, Ngrams

SETS = ("question-types", "tweets")
SMOOTH = {"inverse_regularization": 1.0}  # of labels that are partly wrong
KINDS: dict[str, Frozen | Ngrams] = {
    "embedding": listing.FROZEN.model_copy(update=SMOOTH),
    "linear": listing.NGRAMS.model_copy(update=SMOOTH),
}
DRAWS, FOLDS = 20, 5
TURNED = 0.05
MARGIN = 0.03
OURS, RANKED, WHOLE = "lmspec", "cleanlab, same probabilities", "cleanlab, its own folds"


@dataclass(frozen=True)
class Recall:
    """Share of the turned labels among the first k rows of a ranking, and among the first 2k."""

    first: float
    twice: float


def turned(truth: NDArray[np.int64], draw: np.random.Generator) -> NDArray[np.int64]:
    """The labels, some of them another one."""
    labels = int(truth.max()) + 1
    rows = draw.choice(len(truth), round(TURNED * len(truth)), replace=False)
    result = truth.copy()
    result[rows] = (truth[rows] + draw.integers(1, labels, len(rows))) % labels
    return result


def recall(order: NDArray[np.int64], wrong: NDArray[np.bool_]) -> Recall:
    """order: positions, the most suspect first."""
    k = int(wrong.sum())
    return Recall(*(float(wrong[order[:n]].sum()) / k for n in (k, 2 * k)))


def rankings(
    features: Any, given: NDArray[np.int64], seed: int, inverse: float
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Who ranks -> positions, the most suspect first."""
    units = [[i] for i in range(len(given))]
    labels = int(given.max()) + 1
    fold = folds.assigned(units, given, FOLDS, seed)
    own = folds.out_of_fold(features, given, fold, labels, inverse)
    yield OURS, np.argsort(confident.confidence(own, given), kind="stable")
    quality = get_label_quality_scores(given, own)
    yield RANKED, np.argsort(quality, kind="stable")
    solver = LogisticRegression(C=inverse, max_iter=folds.MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaner = CleanLearning(solver, cv_n_folds=FOLDS, seed=seed)
        issues = cleaner.find_label_issues(features, given)
    yield WHOLE, np.argsort(issues["label_quality"].to_numpy(), kind="stable")


def main() -> None:
    """The table."""
    print("# Suspects: planted label errors, beside cleanlab\n")
    print(
        f"{TURNED:.0%} of the labels turned to another one, mean of {DRAWS} draws. *First k*: share"
        " of them among as many of the most suspect rows as there are; *first 2k*: among twice as"
        " many. *Behind*: how far lmspec is behind the better of both ways of cleanlab, with a 95 %"
        " interval over the draws; negative is ahead.\n"
    )
    print("| data set | rows | labels | features | | first k | first 2k |")
    print("| --- | ---: | ---: | --- | --- | ---: | ---: |")
    behind = []
    for name in SETS:
        texts, truth = listing.texts(name)
        for kind, spec in KINDS.items():
            features = listing.read(spec, name, texts)
            found: dict[str, list[Recall]] = {}
            for seed in range(DRAWS):
                given = turned(truth, np.random.default_rng(seed))
                ranked = rankings(features, given, seed, spec.inverse_regularization)
                for who, order in ranked:
                    found.setdefault(who, []).append(recall(order, given != truth))
                listing.note(f"{name} {kind}: draw {seed}")
            means = {
                who: [np.mean([getattr(one, part) for one in all_]) for part in ("first", "twice")]
                for who, all_ in found.items()
            }
            for who, (first, twice) in means.items():
                row = f"{len(truth):,} | {truth.max() + 1} | {kind}"
                print(f"| {name} | {row} | {who} | {first:.3f} | {twice:.3f} |", flush=True)
            for i, part in enumerate(("first", "twice")):
                best = max((RANKED, WHOLE), key=lambda who: float(means[who][i]))
                apart = [
                    getattr(peer, part) - getattr(ours, part)
                    for peer, ours in zip(found[best], found[OURS], strict=True)
                ]
                behind.append((name, kind, ("k", "2k")[i], best, *listing.interval(apart)))
    print("\n| data set | features | first | the better one | behind |")
    print("| --- | --- | --- | --- | ---: |")
    for name, kind, part, best, mean, low, high in behind:
        print(f"| {name} | {kind} | {part} | {best} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] |")
    worst = max(mean for *_, mean, _, _ in behind)
    verdict = "holds" if worst <= MARGIN else "does not hold"
    print(f"\nAt most {MARGIN} behind: {verdict} (the most is {worst:+.3f}).")


if __name__ == "__main__":
    main()
