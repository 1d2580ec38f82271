"""bench/weak: models of labelling functions' votes, with no label given, beside 100 given labels.

    pip install 'crowd-kit>=1.4,<2' -c requirements.lock
    python bench/weak.py > bench/weak.md              (five minutes on one core)

70 % of a data set are train texts, the others test texts. Votes of bench/weak_functions.py give the
train texts their labels, from which a logistic regression on a frozen encoder learns; texts without
one are left out. Beside it: the same, and TF-IDF, on 100 train texts drawn evenly, with their true
labels. The functions were written after a look at eight texts of each label.
"""

import sys
from typing import Any

import datasets  # beside this file
import listing
import numpy as np
import pandas as pd
import weak_functions
from crowdkit.aggregation import DawidSkene
from numpy.typing import NDArray

from lmspec.formats import lexicon
from lmspec.methods import folds, voting
from lmspec.methods.cleaning import document_id
from lmspec.specs.votes import Lexicon, VotesLabel

SETS = {
    "movies": weak_functions.SENTIMENT,
    "tweets": weak_functions.SENTIMENT,
    "sms-spam": weak_functions.SPAM,
    "question-types": weak_functions.QUESTIONS,
}
SEEDS, TRAIN, GOLD, MOST = 5, 0.7, 100, 4000
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
FOLDER = "hutto_ICWSM_2014/"
Ints = NDArray[np.int64]
VOTED = ("majority", "weighted", "Dawid-Skene")


def texts_of(name: str) -> tuple[list[str], Ints, list[str]]:
    """(texts, positions of their labels, labels)."""
    if name == "movies":
        path = datasets.VADER.file(ARCHIVE, f"{FOLDER}movieReviewSnippets_GroundTruth.txt")
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()]
        given = {
            text: int(float(rating) > 0) for _, rating, text in rows if abs(float(rating)) >= 1
        }
        chosen = np.random.default_rng(0).permutation(len(given))[:MOST]
        texts = [[*given][i] for i in chosen]
        return texts, np.array([given[text] for text in texts]), ["negative", "positive"]
    listed, truth = listing.texts(name)
    known = {document_id(text): label for text, label in datasets.DATASETS[name].rows()}
    labels = [""] * (int(truth.max()) + 1)
    for text, place in zip(listed, truth, strict=True):
        labels[place] = labels[place] or known[document_id(text)]
    return listed, truth, labels


def words() -> dict[str, str | float]:
    """VADER's lexicon, in UTF-8; of a word that it has twice the first weight."""
    path = datasets.VADER.file(ARCHIVE, f"{FOLDER}vader_sentiment_lexicon.txt")
    once: dict[str, str] = {}
    for line in path.read_text(encoding="cp1252").splitlines():
        once.setdefault(" ".join(line.partition("\t")[0].split()), line)
    own = datasets.CACHE / "vader.tsv"
    own.write_text("".join(f"{line}\n" for word, line in once.items() if word), encoding="utf-8")
    return lexicon.read(own, own.name, [], weighted=True)


def votes(rule: VotesLabel, texts: list[str], labels: list[str]) -> Ints:
    """(functions, n) votes."""
    return np.stack(
        [
            voting.votes(
                function, texts, (), words() if isinstance(function, Lexicon) else {}, labels
            )
            for function in rule.functions
        ]
    )


def weighted(given: Ints, labels: int) -> NDArray[np.float64]:
    """(n, labels) log odds: votes weighed by how often a function agrees with the others."""
    total = np.zeros((given.shape[1], labels))
    for own, function in zip(given, voting.functions(given, labels), strict=True):
        right = (function.accuracy or 0.7) * function.judged + 0.7 * 10
        accuracy = min(max(right / (function.judged + 10), 0.05), 0.95)
        there = np.flatnonzero(own != voting.ABSTAINS)
        total[there, own[there]] += np.log(accuracy * (labels - 1) / (1 - accuracy))
    return total


def dawid_skene(given: Ints) -> Ints:
    """(n,) labels of crowd-kit, functions taken for people; -1 without a vote."""
    worker, task = np.nonzero(given != voting.ABSTAINS)
    table = pd.DataFrame({"task": task, "worker": worker, "label": given[worker, task]})
    found = DawidSkene(n_iter=100).fit_predict(table)
    result = np.full(given.shape[1], -1)
    result[found.index] = found
    return result


def labels_of(given: Ints, rule: VotesLabel, labels: list[str]) -> dict[str, Ints]:
    """Model of votes -> (n,) labels, or -1; all of the texts that have a majority."""
    names = voting.labelled(given, rule, labels).labels
    majority = np.array([labels.index(one) if isinstance(one, str) else -1 for one in names])
    covered = (given != voting.ABSTAINS).any(axis=0)
    by_weight = np.where(covered, weighted(given, len(labels)).argmax(axis=1), -1)
    return dict(zip(VOTED, (majority, by_weight, dawid_skene(given)), strict=True))


def accuracy(features: Any, rows: Ints, given: Ints, test: Ints, truth: Ints, c: float) -> float:
    """On the test texts, of a logistic regression that was fitted to the rows."""
    classify = folds.fitted(features[rows], given[rows], c, int(truth.max()) + 1)
    return float((classify(features[test]).argmax(1) == truth[test]).mean())


def main() -> None:
    """The tables."""
    print("# Labelling functions: what a model of their votes learns, with no label given\n")
    print(f"Means of {SEEDS} cuts, with 95 % intervals. *Votes*: share of train texts with a label")
    print("by majority, and share of those that is right, beside that of other models of votes:")
    print("*weighted* weighs functions by how often they agree with the others.\n")
    print("| data set | labels | functions | votes | right | weighted | Dawid-Skene |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    results = []
    for name in sys.argv[1:] or SETS:
        rule = SETS[name]
        texts, truth, labels = texts_of(name)
        frozen = listing.read(listing.FROZEN, f"weak-{name}", texts)
        ngrams = listing.read(listing.NGRAMS, name, texts)
        given = votes(rule, texts, labels)
        found: dict[str, list[float]] = {}
        share = []
        for seed in range(SEEDS):
            order = np.random.default_rng(seed).permutation(len(texts))
            size = round(TRAIN * len(texts))
            train, test = order[:size], order[size:]
            own = labels_of(given[:, train], rule, labels)
            share.append((own["majority"] >= 0).mean())
            for model, voted in own.items():
                right = (voted == truth[train])[voted >= 0].mean()
                found.setdefault(f"right {model}", []).append(float(right))
            every = np.full(len(texts), -1)
            every[train] = own["majority"]
            for title, rows, of in (
                ("votes", train[own["majority"] >= 0], every),
                ("100 labels", train[:GOLD], truth),
                ("all labels", train, truth),
            ):
                score = accuracy(frozen, rows, of, test, truth, 10.0)
                found.setdefault(title, []).append(score)
            score = accuracy(ngrams, train[:GOLD], truth, test, truth, 10.0)
            found.setdefault("100 labels, TF-IDF", []).append(score)
            listing.note(f"{name} {seed}: { ({k: round(v[-1], 3) for k, v in found.items()}) }")
        right = [f"{np.mean(found[f'right {model}']):.3f}" for model in VOTED]
        counts = f"{len(labels)} | {len(rule.functions)} | {np.mean(share):.2f}"
        print(f"| {name} | {counts} | {' | '.join(right)} |", flush=True)
        results.append((name, found))
    print("\nAccuracy on test texts, of a logistic regression on the frozen encoder:\n")
    titles = ("votes", "100 labels", "100 labels, TF-IDF", "all labels")
    print(f"| data set | {' | '.join(titles)} | votes minus 100 labels, TF-IDF |")
    print(f"| --- |{' ---: |' * 5}")
    for name, found in results:
        cells = [f"{np.mean(found[title]):.3f}" for title in titles]
        gains = np.subtract(found["votes"], found["100 labels, TF-IDF"])
        mean, low, high = listing.interval(gains.tolist())
        print(f"| {name} | {' | '.join(cells)} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] |")


if __name__ == "__main__":
    main()
