"""bench/folds: do intervals from out-of-fold answers contain the truth?

    python bench/folds.py > bench/folds.md      (half an hour on one core; no build)
    python bench/folds.py --macro-f1            (its last part alone)

A table of thousands of texts is the population: rows are drawn from it, put into folds as `folds`
does, answered by models that have not seen them, and judged by the code of `lmspec show` and
`lmspec diff`. The truth is what each of these models answers to the whole table. For comparison:
scikit-learn's cross_val_score with the t interval of its mean, and Nadeau & Bengio's correction.

What each chunk of draws gives is kept in `.lmspec/bench/folds/`, so that a killed run goes on.
"""

import csv
import functools
import itertools
import json
import sys
import time
from dataclasses import dataclass

import datasets
import numpy as np
from scipy import sparse, stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.metrics import f1_score
from sklearn.model_selection import PredefinedSplit, cross_val_score
from threadpoolctl import threadpool_limits
from verdicts import rate, table

from lmspec.compare import bounds
from lmspec.compare.artifact import WORTH_OF_FOLDS
from lmspec.compare.verdicts import CONFIDENCE
from lmspec.methods import crossvalidating
from lmspec.methods.crossvalidating import Rows
from lmspec.statistics import bootstrap, predictions
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric

SEED = 20_261_130
SETS = ("question-types", "sms-spam", "names")
SIZES = {50: 400, 100: 300, 200: 200, 500: 120}  # rows -> draws
MACRO_SIZES = {50: 200, 200: 150, 500: 80}  # of macro F1: a bootstrap of each draw
FOLDS = (5, 10)
REPLICATES = 1_000  # where `lmspec show` draws up to 5,000
FEATURES = 2**13
MOST = 8_000  # rows of a population
STEPS, STRENGTH = 40, 10.0  # of the gradient descent; C of the regression
ACCURACY, MACRO_F1 = SplitMetric("accuracy", None), SplitMetric("macro_f1", None)
MODELS = ("regression", "bayes")
KEPT = datasets.CACHE / "folds"
LEVEL = (1 + CONFIDENCE) / 2


@dataclass(frozen=True)
class Population:
    """n texts: hashed n-grams, (n, f), each row of length 1; positions of their labels."""

    features: sparse.csr_matrix
    truth: np.ndarray
    labels: tuple[str, ...]


def population(name: str) -> Population:
    """A table; n-grams of characters of names, of words of texts. Nothing of it is fitted."""
    with datasets.path(name).open(encoding="utf-8", newline="") as stream:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(stream)]
    kind = {"analyzer": "char_wb", "ngram_range": (1, 4)} if name == "names" else {}
    words = kind or {"ngram_range": (1, 2)}
    reader = HashingVectorizer(n_features=FEATURES, alternate_sign=False, **words)
    labels = sorted({label for _, label in rows})
    # the rarest of the question types has 86 of 5,381 rows: 50 rows may have none of it
    common = [label for label in labels if sum(own == label for _, own in rows) > 0.05 * len(rows)]
    kept = [(text, label) for text, label in rows if label in common]
    kept = kept[:: -(-len(kept) // MOST)]
    features = reader.transform([text for text, _ in kept]).tocsr()
    truth = np.asarray([common.index(label) for _, label in kept])
    return Population(features, truth, tuple(common))


def regression(features: sparse.csr_matrix, truth: np.ndarray, labels: int) -> np.ndarray:
    """(f, labels) weights of a multinomial logistic regression, by accelerated gradients.

    In terms of the rows, which are few: weights = features.T @ coefficients.
    """
    kernel = (features @ features.T).toarray()
    target = np.eye(labels)[truth]
    reach = kernel.sum(1).max() / 2 + 1 / STRENGTH  # of positive entries, so no curvature is more
    here = before = np.zeros_like(target)
    for step in range(STEPS):
        ahead = here + (step - 1) / (step + 2) * (here - before) if step > 1 else here
        logits = kernel @ ahead
        powers = np.exp(logits - logits.max(1, keepdims=True))
        gradient = powers / powers.sum(1, keepdims=True) - target + ahead / STRENGTH
        before, here = here, ahead - gradient / reach
    return features.T @ here


def bayes(features: sparse.csr_matrix, truth: np.ndarray, labels: int) -> np.ndarray:
    """(f, labels) weights of multinomial naive Bayes, with equal priors."""
    counts = np.asarray((sparse.csr_matrix(np.eye(labels)[truth].T) @ features).todense())
    smoothed = counts + 0.05
    return np.log(smoothed / smoothed.sum(1, keepdims=True)).T


FITTED = {"regression": regression, "bayes": bayes}


class Estimator(ClassifierMixin, BaseEstimator):
    """One of the models as scikit-learn takes it."""

    def __init__(self, kind: str = "regression", labels: int = 2) -> None:
        self.kind, self.labels = kind, labels

    def fit(self, features: sparse.csr_matrix, truth: np.ndarray) -> "Estimator":
        """Learn weights."""
        self.classes_ = np.arange(self.labels)
        self.weights_ = FITTED[self.kind](features, truth, self.labels)
        return self

    def predict(self, features: sparse.csr_matrix) -> np.ndarray:
        """(n,) positions of the labels."""
        return np.asarray((features @ self.weights_).argmax(1))


def drawn(whole: Population, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of the population, with replacement, so that its accuracy is exactly the truth."""
    while True:
        rows = rng.integers(0, len(whole.truth), size)
        if np.bincount(whole.truth[rows], minlength=len(whole.labels)).min() >= 2:
            return rows


@dataclass(frozen=True)
class Answers:
    """What the models of a draw answer, and what is true of them.

    predicted  (n,) of each row, by the model without its fold
    truths     (k,) accuracy of each fold's model on the population
    whole      accuracy there of a model that learned from all rows
    macro      (k + 1,) macro F1 there of all of these
    """

    predicted: np.ndarray
    truths: np.ndarray
    whole: float
    macro: np.ndarray


def answers(whole: Population, rows: np.ndarray, fold: np.ndarray, kind: str) -> Answers:
    """Train on the other folds, and on all rows."""
    features, truth, labels = whole.features[rows], whole.truth[rows], len(whole.labels)
    predicted, truths, macro = np.empty(len(rows), np.int64), [], []
    for number in (*range(int(fold.max()) + 1), -1):
        others = fold != number
        weights = FITTED[kind](features[others], truth[others], labels)
        own = (whole.features @ weights).argmax(1)
        truths.append(float((own == whole.truth).mean()))
        macro.append(f1_score(whole.truth, own, average="macro", zero_division=0))
        predicted[~others] = own[rows[~others]]
    return Answers(predicted, np.asarray(truths[:-1]), truths[-1], np.asarray(macro))


@dataclass(frozen=True)
class Counts:
    """How many of n rows both models have right, only the second, only the first, or none."""

    size: int
    both: int
    gained: int
    lost: int


@functools.cache
def judged(counts: Counts, worth: float) -> dict[str, tuple[float, float]]:
    """Intervals of lmspec: of each model's accuracy, and of the difference."""
    none = counts.size - counts.both - counts.gained - counts.lost
    shares = (counts.both, counts.gained, counts.lost, none)
    right = [
        np.repeat(own, shares) for own in ((True, False, True, False), (True, True, False, False))
    ]
    ids, empty = tuple(map(str, range(counts.size))), ("",) * counts.size
    ones = np.ones(counts.size)
    sides = [
        predictions.Predictions(
            ids,
            ("t",) * counts.size,
            empty,
            ("a",) * counts.size,
            tuple("a" if is_right else "b" for is_right in own),
            ones,
            ones,
        )
        for own in right
    ]
    scale = predictions.Scale(("a", "b"), 15)
    found = {}
    for kind, own in zip(MODELS, sides, strict=True):
        level = bounds.of_sample(Sample(own, scale, worth=worth), ACCURACY, LEVEL)
        found[kind] = (level.low, level.high)
    pairs = PairedSample(predictions.pair(*sides), scale, same=False, worth=worth)
    interval = pairs.interval(ACCURACY, pairs.difference(ACCURACY), CONFIDENCE)
    return found | {"difference": interval or (-1.0, 1.0)}


def of_folds(whole: Population, rows: np.ndarray, fold: np.ndarray, both: dict[str, Answers]):
    """(k,) accuracy of each fold, as cross_val_score returns it, and of the difference."""
    right = {kind: each.predicted == whole.truth[rows] for kind, each in both.items()}
    scores = {
        kind: np.asarray([own[fold == i].mean() for i in range(int(fold.max()) + 1)])
        for kind, own in right.items()
    }
    return scores | {"difference": scores["bayes"] - scores["regression"]}


def student(scores: np.ndarray, spread: float) -> list[float]:
    """The t interval of a mean with k - 1 degrees of freedom."""
    reach = stats.t.ppf(LEVEL, len(scores) - 1) * scores.std(ddof=1) * np.sqrt(spread)
    return [float(scores.mean() - reach), float(scores.mean() + reach)]


def folded(
    whole: Population, size: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a draw, and their folds."""
    rows = drawn(whole, size, rng)
    ids = [f"{i}" for i in range(size)]  # each draw is a row of its own, even of the same text
    units = [[i] for i in range(size)]
    known = Rows(ids, whole.truth[rows], whole.labels, units)
    seed = int(rng.integers(2**31))
    # a label with fewer rows than folds, which the stage refuses, is left as it falls
    return rows, crossvalidating.folds.assigned(units, known.truth, count, seed)


def one(whole: Population, size: int, count: int, rng: np.random.Generator) -> dict:
    """A draw: truths and intervals of both models and of their difference."""
    rows, fold = folded(whole, size, count, rng)
    both = {kind: answers(whole, rows, fold, kind) for kind in MODELS}
    truth = {kind: [each.truths.mean(), each.whole] for kind, each in both.items()}
    truth["difference"] = np.subtract(truth["bayes"], truth["regression"]).tolist()
    scores = of_folds(whole, rows, fold, both)
    k = len(np.unique(fold))
    old, new = (both[kind].predicted == whole.truth[rows] for kind in MODELS)
    return {
        "truth": {name: [float(x) for x in values] for name, values in truth.items()},
        "t": {name: student(each, 1 / k) for name, each in scores.items()},
        "corrected": {name: student(each, 1 / k + 1 / (k - 1)) for name, each in scores.items()},
        "counts": [size, int((old & new).sum()), int((new & ~old).sum()), int((old & ~new).sum())],
    }


def one_of_macro_f1(whole: Population, size: int, count: int, rng: np.random.Generator) -> dict:
    """A draw: the truths, and the intervals of lmspec with each worth of a row."""
    rows, fold = folded(whole, size, count, rng)
    both = {kind: answers(whole, rows, fold, kind) for kind in MODELS}
    truth = {kind: [each.macro[:-1].mean(), each.macro[-1]] for kind, each in both.items()}
    truth["difference"] = np.subtract(truth["bayes"], truth["regression"]).tolist()
    sides = [side_of(whole, rows, both[kind].predicted) for kind in MODELS]
    scale = predictions.Scale(whole.labels, 15)
    found: dict[str, dict] = {"truth": {k: [float(x) for x in v] for k, v in truth.items()}}
    for way, worth in WORTH.items():
        found[way] = {}
        for kind, side in zip(MODELS, sides, strict=True):
            level = bounds.of_sample(Sample(side, scale, worth=worth), MACRO_F1, LEVEL)
            found[way][kind] = [float(level.low), float(level.high)]
        pairs = PairedSample(predictions.pair(*sides), scale, same=False, worth=worth)
        interval = pairs.interval(MACRO_F1, pairs.difference(MACRO_F1), CONFIDENCE)
        found[way]["difference"] = [float(end) for end in interval or (-1.0, 1.0)]
    return found


def side_of(whole: Population, rows: np.ndarray, predicted: np.ndarray) -> predictions.Predictions:
    """Answers as `lmspec show` reads them."""
    names = np.asarray(whole.labels)
    table, none, ones = ("t",) * len(rows), ("",) * len(rows), np.ones(len(rows))
    ids, truth = tuple(map(str, range(len(rows)))), tuple(names[whole.truth[rows]].tolist())
    return predictions.Predictions(
        ids, table, none, truth, tuple(names[predicted].tolist()), ones, ones
    )


def as_scikit_learn(whole: Population) -> None:
    """The scores of the folds are those that cross_val_score returns for the same folds."""
    rng = np.random.default_rng(SEED)
    rows = drawn(whole, 100, rng)
    fold = crossvalidating.folds.assigned([[i] for i in range(100)], whole.truth[rows], 5, 1)
    for kind in MODELS:
        both = dict.fromkeys(MODELS, answers(whole, rows, fold, kind))
        peer = cross_val_score(
            Estimator(kind, len(whole.labels)),
            whole.features[rows],
            whole.truth[rows],
            cv=PredefinedSplit(fold),
        )
        assert np.allclose(peer, of_folds(whole, rows, fold, both)[kind])


def simulated(name: str, whole: Population, size: int, count: int, draw=one) -> list[dict]:
    """All draws of a size, from the disk as far as they were done."""
    draws = (SIZES if draw is one else MACRO_SIZES)[size]
    path = KEPT / f"{name}-{size}-{count}{'' if draw is one else '-macro-f1'}.json"
    if path.exists():
        return list(json.loads(path.read_text()))[:draws]
    begin, rng = time.perf_counter(), np.random.default_rng([SEED, SETS.index(name), size, count])
    found = [draw(whole, size, count, rng) for _ in range(draws)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    print(f"{time.perf_counter() - begin:5.0f} s  {name} {size} {count}", file=sys.stderr)
    return found


def interval(draw: dict, way: str, name: str) -> tuple[float, float]:
    """Of the accuracy or macro F1 of a model, or of the difference."""
    if "counts" in draw and way in WORTH:
        return judged(Counts(*draw["counts"]), WORTH[way])[name]
    low, high = draw[way][name]
    return low, high


def holds(draws: list[dict], way: str, name: str, target: int) -> list[bool]:
    """(draws,) does the interval contain the truth? target: 0, 1, or 2, the mean of the former."""
    mean = float(np.mean([each["truth"][name][0] for each in draws]))
    found = []
    for each in draws:
        low, high = interval(each, way, name)
        truth = mean if target == 2 else each["truth"][name][target]
        found.append(low - 1e-12 <= truth <= high + 1e-12)
    return found


def width(draws: list[dict], way: str, name: str) -> float:
    """Mean width, in percentage points."""
    ends = [interval(each, way, name) for each in draws]
    return 100 * float(np.mean([high - low for low, high in ends]))


def main() -> None:
    """Print the tables."""
    bootstrap.MOST = bootstrap.FEWEST = REPLICATES
    alone = "--macro-f1" in sys.argv
    numbers = [float(each) for each in sys.argv[1:] if each != "--macro-f1"]
    until, wholes = time.perf_counter() + (numbers or [float("inf")])[0], {}
    if not alone:
        report(chunks(SIZES, one, until, wholes), wholes)
    report_macro_f1(chunks(MACRO_SIZES, one_of_macro_f1, until, wholes))


def chunks(sizes: dict, draw, until: float, wholes: dict[str, Population]) -> dict:
    """Draws of each table, size and number of folds; ends the program when its time is over."""
    results = {}
    for name, size, count in itertools.product(SETS, sizes, FOLDS):
        if time.perf_counter() > until:
            sys.exit("more is to do: run it again")
        if name not in wholes:
            wholes[name] = population(name)
            as_scikit_learn(wholes[name])
        results[name, size, count] = simulated(name, wholes[name], size, count, draw)
    return results


def report_macro_f1(results: dict) -> None:
    """Print what intervals of macro F1 cover."""
    for part, columns in (("macro F1", MODELS), ("difference of macro F1", ("difference",))):
        print(f"\n## {part[0].upper()}{part[1:]}: {TARGETS[0]}\n")
        draws = ", ".join(f"{count} of {size} rows" for size, count in MACRO_SIZES.items())
        print(f"Of fewer draws: {draws}; each has a bootstrap of its own.\n")
        lines, rates = [], {way: [] for way in WORTH}
        for first, draws in groups(results, 0).items():
            cells = []
            for way in WORTH:
                cases = [x for each in draws for c in columns for x in holds(each, way, c, 0)]
                wide = np.mean([width(each, way, c) for each in draws for c in columns])
                rates[way].append(float(np.mean(cases)))
                cells += [rate(cases), f"{wide:.1f}"]
            lines.append(" | ".join([first, *cells]))
        table("rows | lmspec, % | width | plain, % | width", lines)
        print()
        for way, each in rates.items():
            low, high, mean = 100 * min(each), 100 * max(each), 100 * float(np.mean(each))
            print(f"- {WAYS[way]}: mean {mean:.1f} %, from {low:.1f} to {high:.1f} %")


def report(results: dict, wholes: dict[str, Population]) -> None:
    """Print what intervals cover, and how wide they are."""
    print("# Intervals from folds\n\n" + (__doc__ or "").split("\n\n")[2].strip() + "\n")
    for name, whole in wholes.items():
        print(f"- {name}: {len(whole.truth):,} rows, {len(whole.labels)} labels")
    print(NOTE)
    for part, columns in (("accuracy", MODELS), ("difference", ("difference",))):
        for target, title in enumerate(TARGETS):
            print(f"\n## {part.capitalize()}: {title}\n")
            lines, rates = [], {way: [] for way in WAYS}
            for first, draws in groups(results, target).items():
                cells = []
                for way in WAYS:
                    cases = [
                        case
                        for each in draws
                        for column in columns
                        for case in holds(each, way, column, target)
                    ]
                    wide = np.mean([width(each, way, c) for each in draws for c in columns])
                    rates[way].append(float(np.mean(cases)))
                    cells += [rate(cases), f"{wide:.1f}"]
                lines.append(" | ".join([first, *cells]))
            table(HEAD, lines)
            print()
            for way, words in WAYS.items():
                low, high = 100 * min(rates[way]), 100 * max(rates[way])
                mean = 100 * float(np.mean(rates[way]))
                print(f"- {words}: mean {mean:.1f} %, from {low:.1f} to {high:.1f} %")


def groups(results: dict, target: int) -> dict[str, list[list[dict]]]:
    """Name of a row -> the chunks of draws in it: one each, or of all tables with so many rows."""
    found: dict[str, list[list[dict]]] = {}
    for (name, size, count), draws in results.items():
        own = f"{name}, {size} rows, {count} folds" if target == 0 else f"{size} rows"
        found.setdefault(own, []).append(draws)
    return found


NOTE = """
Each row is drawn from all texts of the table, with replacement, so that the accuracy on the table
is exactly the truth. Two models: a logistic
regression and naive Bayes on hashed n-grams; the rates of accuracy are of both.
"""
TARGETS = (
    "of the models of the folds, their mean on the population",
    "of one model of all rows",
    "of models of so many rows, the mean over draws of rows",
)
WAYS = {
    "lmspec": "lmspec",
    "before": "the same if each row counts for one",
    "t": "cross_val_score, mean ± t",
    "corrected": "the same with Nadeau & Bengio's variance",
}
WORTH = {"lmspec": WORTH_OF_FOLDS, "before": 1.0}
HEAD = "rows | lmspec, % | width | plain, % | width | mean ± t, % | width | corrected, % | width"

if __name__ == "__main__":
    with threadpool_limits(1):
        main()
