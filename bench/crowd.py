"""bench/crowd: labels of several raters, some of them at random, beside crowd-kit.

    pip install 'crowd-kit>=1.4,<2' -c requirements.lock
    python bench/crowd.py > bench/crowd.md            (ten minutes on a busy core)

Movie reviews: of 15 to 29 ratings from -4 to 4, the same position is one person for 30 rows. Of
each block k raters are drawn; the truth is the sign of the mean of all others, of texts where that
is at least 1 from 0. Simulated: scores, biases and precisions are drawn, so that the truth is
known. In both a share of the raters is replaced by ones at random, who give any rating as often. A
score of 0 is half right.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import datasets  # beside this file
import listing
import numpy as np
import pandas as pd
from crowdkit.aggregation import MACE, DawidSkene
from lmspec.recipes import features
from numpy.typing import NDArray
from scipy.stats import rankdata

from lmspec import stage
from lmspec.methods import crowd, folds
from lmspec.methods.crowd import Ratings
from lmspec.specs.numerics import Machine

BLOCK, CLEAR = 30, 1.0
SEEDS = 3
SETTINGS = ((3, 0.0), (5, 0.0), (9, 0.0), (3, 0.3), (5, 0.3), (5, 0.5), (9, 0.5))
OURS = ("mean", "majority", "one_coin", "bias_precision")
PEERS = ("crowd-kit Dawid-Skene", "crowd-kit MACE")
FOLDER = "hutto_ICWSM_2014/"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Ratings, the truth (1, -1, or 0 where it is not clear), and which raters are at random."""

    ratings: Ratings
    truth: Floats
    at_random: NDArray[np.bool_]

    def right(self, score: Floats) -> float:
        """Share of labels that are right; a tie is half right."""
        clear = self.truth != 0
        hits = np.where(score == 0, 0.5, np.sign(score) == self.truth)
        return float(hits[clear].mean())


def movies() -> tuple[list[list[float]], list[str]]:
    """(ratings, text) of each review."""
    archive = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    fields = []
    for name in ("anonDataRatings", "GroundTruth"):
        path = datasets.VADER.file(archive, f"{FOLDER}movieReviewSnippets_{name}.txt")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        fields.append([line.split("\t")[-1] for line in lines])
    return [json.loads(listed) for listed in fields[0]], fields[1]


def of_blocks(blocks: Iterator[tuple[Floats, Floats]], share: float, draw: Any) -> Case:
    """Of (ratings, truth) of each block: with that share of all raters at random."""
    rows, raters, values, truths, replaced = [], [], [], [], []
    texts = people = 0
    for ratings, truth in blocks:
        size, each = ratings.shape
        # so that the share is exact over the blocks
        number = int((people + each) * share + 1e-9) - int(people * share + 1e-9)
        at_random = np.isin(np.arange(each), draw.permutation(each)[:number])
        ratings = np.where(at_random, draw.integers(-4, 5, ratings.shape), ratings)
        row, position = np.divmod(np.arange(ratings.size), each)
        rows.append(row + texts)
        raters.append(position + people)
        values.append(ratings.ravel())
        truths.append(truth)
        replaced.append(at_random)
        texts, people = texts + size, people + each
    parts = (np.concatenate(part) for part in (rows, raters, values))
    return Case(Ratings(*parts, texts, people), np.concatenate(truths), np.concatenate(replaced))


def of_movies(listed: list[list[float]], k: int, share: float, seed: int) -> Case:
    """k raters of each block; the truth is of the others."""
    draw = np.random.default_rng([seed, k, int(share * 100)])

    def blocks() -> Iterator[tuple[Floats, Floats]]:
        for first in range(0, len(listed), BLOCK):
            block = np.array(listed[first : first + BLOCK], float)
            order = draw.permutation(block.shape[1])
            others = block[:, order[k:]].mean(axis=1)
            yield block[:, order[:k]], np.where(np.abs(others) >= CLEAR, np.sign(others), 0)

    return of_blocks(blocks(), share, draw)


def simulated(k: int, share: float, seed: int, blocks: int = 200) -> Case:
    """Scores within 3 of 0 and none within 0.5, raters with biases and precisions."""
    draw = np.random.default_rng([seed, k, int(share * 100), 1])

    def drawn() -> Iterator[tuple[Floats, Floats]]:
        for _ in range(blocks):
            truth = draw.choice([-1.0, 1.0], BLOCK)
            score = truth * draw.uniform(0.5, 3, BLOCK)
            bias, spread = draw.normal(0, 0.5, k), draw.uniform(0.5, 1.5, k)
            noise = bias + spread * draw.normal(size=(BLOCK, k))
            yield np.rint(score[:, None] + noise).clip(-4, 4), truth

    return of_blocks(drawn(), share, draw)


def scores(case: Case) -> dict[str, Floats]:
    """Method -> a score of each text, positive for one label and negative for the other."""
    ratings = case.ratings
    clear = ratings.value != 0
    signs = Ratings(
        ratings.row[clear], ratings.rater[clear], (ratings.value[clear] > 0).astype(float),
        ratings.rows, ratings.raters,
    )  # fmt: skip

    def of(labels: crowd.Labels) -> Floats:
        return np.nan_to_num(labels.probability[:, 1] - 0.5)

    found = {
        "mean": crowd.mean(ratings).score,
        "majority": of(crowd.majority(signs, 2)),
        "one_coin": of(crowd.one_coin(signs, 2)),
        "bias_precision": crowd.bias_precision(ratings).score,
    }
    table = pd.DataFrame({"task": signs.row, "worker": signs.rater, "label": signs.value})
    peers: dict[str, Callable[[], Any]] = {
        PEERS[0]: lambda: DawidSkene(n_iter=100),
        PEERS[1]: lambda: MACE(n_iter=50, n_restarts=1, random_state=0),
    }
    for name, peer in peers.items():
        labels = peer().fit_predict(table)
        score = np.zeros(ratings.rows)
        score[labels.index] = np.where(labels == 1, 1.0, -1.0)
        found[name] = score
    return found


def area(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve."""
    ranks, size = rankdata(score), int(positive.sum())
    return (ranks[positive].sum() - size * (size + 1) / 2) / (size * (len(score) - size))


def suspects(case: Case) -> tuple[float, float, float]:
    """(AUC of the raters at random, share of them suspected, share of the others suspected)."""
    raters = crowd.bias_precision(case.ratings).raters
    assert raters is not None
    # among raters that are surely at random, or surely not, the precision decides
    order = raters.random - 1e-6 * raters.precision
    found = raters.suspected
    return (
        area(order, case.at_random),
        float(found[case.at_random].mean()),
        float(found[~case.at_random].mean()),
    )


def compare(title: str, make: Callable[[int, float, int], Case]) -> None:
    """A table: share of right labels."""
    print(f"\n## {title}\n")
    names = (*OURS, *PEERS)
    print(f"| raters | at random | {' | '.join(names)} | AUC | suspected | of honest ones |")
    print(f"| ---: | ---: |{' ---: |' * (len(names) + 3)}")
    for k, share in SETTINGS:
        cases = [make(k, share, seed) for seed in range(SEEDS)]
        right: dict[str, list[float]] = {name: [] for name in names}
        for case in cases:
            for name, score in scores(case).items():
                right[name].append(case.right(score))
        cells = [f"{np.mean(right[name]):.4f}" for name in names]
        found = np.mean([suspects(case) for case in cases], axis=0) if share else None
        honest = np.mean([crowd.bias_precision(c.ratings).raters.suspected.mean() for c in cases])  # type: ignore[union-attr]
        last = ["", "", f"{honest:.4f}"] if found is None else [f"{one:.4f}" for one in found]
        print(f"| {k} | {share:.0%} | {' | '.join([*cells, *last])} |", flush=True)
        listing.note(f"{title} {k} {share}")


def trained(listed: list[list[float]], texts: list[str]) -> None:
    """A linear model on labels of all raters, by the mean and by the model."""
    blocks = (np.array(listed[i : i + BLOCK], float) for i in range(0, len(listed), BLOCK))
    none = np.zeros(BLOCK)
    case = of_blocks(((block, none[: len(block)]) for block in blocks), 0, np.random.default_rng(0))
    labels = {
        "mean": crowd.mean(case.ratings).score,
        "bias_precision": crowd.bias_precision(case.ratings).score,
    }
    spec = listing.NGRAMS.model_copy(update={"max_features": 50_000})
    read = features.of(spec, texts, stage.Needs({}, None, Machine(device="cpu")))
    sure = np.abs(labels["mean"]) >= CLEAR
    print("\n## Trained on labels of all raters\n")
    print(
        "Accuracy of TF-IDF and logistic regression on held-out reviews, a fifth of them, with the"
    )
    print(
        "label of the mean where that is at least 1 from 0; five cuts. *Labels that differ*: where"
    )
    print("both have one.\n")
    print("| labels of | training texts | labels that differ | accuracy | minus that of the mean |")
    print("| --- | ---: | ---: | ---: | ---: |")
    accuracy: dict[str, list[float]] = {name: [] for name in labels}
    for seed in range(5):
        test = np.random.default_rng(seed).random(len(texts)) < 0.2
        truth = (labels["mean"] > 0).astype(np.int64)
        for name, score in labels.items():
            rows = (np.abs(score) >= CLEAR) & ~test
            classify = folds.fitted(read[rows], (score[rows] > 0).astype(np.int64), 10.0, 2)
            hits = classify(read[test & sure]).argmax(1) == truth[test & sure]
            accuracy[name].append(float(hits.mean()))
    for name, score in labels.items():
        both = sure & (np.abs(score) >= CLEAR)
        differ = int((np.sign(score) != np.sign(labels["mean"]))[both].sum())
        gain = np.subtract(accuracy[name], accuracy["mean"])
        mean, low, high = listing.interval([*gain]) if gain.any() else (0.0, 0.0, 0.0)
        print(
            f"| {name} | {int((np.abs(score) >= CLEAR).sum()):,} | {differ} |"
            f" {np.mean(accuracy[name]):.4f} | {mean:+.4f} [{low:+.4f}, {high:+.4f}] |",
            flush=True,
        )


def main() -> None:
    """All tables, or those that are named."""
    print("# Ratings: labels that are right, by number of raters and share at random\n")
    print(f"Means of {SEEDS} seeds. *AUC*: of finding the raters at random by `bias_precision`.")
    print("*Suspected*: share of them that it suspects, and share of the others.")
    listed, texts = movies()
    if "trained" not in sys.argv[1:]:
        compare("Movie reviews", lambda k, share, seed: of_movies(listed, k, share, seed))
        compare("Simulated", simulated)
    trained(listed, texts)


if __name__ == "__main__":
    main()
