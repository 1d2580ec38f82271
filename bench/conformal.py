"""bench/conformal: is the true label kept as often as `abstain` says, on each table of the release?

    pip install 'mapie>=1.6,<2'
    python bench/conformal.py > bench/conformal.md      (a few seconds)

The predictions of `scores.release`, as git has them; the model is fixed. Twenty times, half of the
documents of each table are drawn: thresholds are fitted to these, and measured on the others.
Beside the functions of `stages/calibrated.py`, fitted to each table or to all together: a fixed
threshold, which keeps a label whose probability is at least one minus the coverage; and MAPIE.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mapie.classification import SplitConformalClassifier
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from lmspec.methods import abstaining, conformal

PREDICTIONS = Path("data/metrics/scores-release/predictions.csv")
DRAWS, MARGIN = 20, 0.02
COVERAGES = (0.9, 0.95)
OWN, POOLED, FIXED, PEER = "of the table", "of all tables", "fixed threshold", "MAPIE"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Texts:
    """n test texts of a table.

    probability  (n, 2) of a label, and of the other; 6 digits
    truth        (n,) which of them is the true one
    groups       (n,) document of each
    """

    probability: Floats
    truth: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def own(self) -> Floats:
        """(n,) probability of the true label."""
        return self.probability[np.arange(len(self.truth)), self.truth]

    def part(self, rows: NDArray[np.bool_]) -> "Texts":
        """Those of some rows."""
        return Texts(self.probability[rows], self.truth[rows], self.groups[rows])


@dataclass(frozen=True)
class Measured:
    """Shares: of texts whose true label is kept, that are unsure, that are right if answered."""

    coverage: float
    unsure: float
    accuracy: float


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """MAPIE's model: its features are the probabilities."""

    classes_ = np.arange(2)

    def fit(self, x: Any, y: Any) -> "Given":
        """Nothing to fit."""
        return self

    def predict_proba(self, x: Any) -> Any:
        """As they are."""
        return x

    def predict(self, x: Any) -> Any:
        """The most probable one."""
        return x.argmax(1)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def read() -> dict[str, Texts]:
    """Table -> its texts."""
    rows: dict[str, list[dict[str, str]]] = {}
    with PREDICTIONS.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            rows.setdefault(row["table"], []).append(row)
    return {name: texts(each) for name, each in rows.items()}


def texts(rows: list[dict[str, str]]) -> Texts:
    """Of two labels: what the one has not, the other has."""
    labels = sorted({row["label"] for row in rows})
    truth = np.array([labels.index(row["label"]) for row in rows])
    own = np.array([float(row["label_probability"]) for row in rows])
    numbers: dict[object, int] = {}
    groups = [numbers.setdefault(row["group"] or i, len(numbers)) for i, row in enumerate(rows)]
    first = np.where(truth == 0, own, 1 - own)
    return Texts(np.stack([first, 1 - first], 1), truth, np.array(groups))


def halves(given: Texts, draw: np.random.Generator) -> tuple[Texts, Texts]:
    """Documents are not cut."""
    number = int(given.groups.max()) + 1
    first = np.isin(given.groups, draw.permutation(number)[: number // 2])
    return given.part(first), given.part(~first)


def measured(given: Texts, limit: float) -> Measured:
    """With a threshold for both labels."""
    limits = {"0": limit, "1": limit}
    answers = [dict(zip(limits, row, strict=True)) for row in given.probability.tolist()]
    unsure = np.array([abstaining.is_unsure(answer, limits) for answer in answers])
    right = given.probability.argmax(1) == given.truth
    answered = float(right[~unsure].mean()) if not unsure.all() else float("nan")
    return Measured(float((given.own >= limit).mean()), float(unsure.mean()), answered)


def mapie(fitted: Texts, given: Texts, coverage: float) -> float:
    """Its coverage."""
    peer = SplitConformalClassifier(
        Given(), confidence_level=coverage, conformity_score="lac", prefit=True
    ).conformalize(fitted.probability, fitted.truth)
    _, sets = peer.predict_set(given.probability)
    return float(sets[np.arange(len(given.truth)), given.truth, 0].mean())


def drawn(tables: dict[str, Texts], coverage: float) -> Iterator[tuple[str, str, Measured]]:
    """(table, way, what it gives) of each draw."""
    for number in range(DRAWS):
        draw = np.random.default_rng([11, number])
        cut = {name: halves(given, draw) for name, given in tables.items()}
        pooled = conformal.threshold(
            np.concatenate([fitted.own for fitted, _ in cut.values()]), coverage
        )
        for name, (fitted, given) in cut.items():
            own = conformal.threshold(fitted.own, coverage)
            assert own is not None and pooled is not None
            yield name, OWN, measured(given, own)
            yield name, POOLED, measured(given, pooled)
            yield name, FIXED, measured(given, 1 - coverage)
            kept = mapie(fitted, given, coverage)
            yield name, PEER, Measured(kept, float("nan"), float("nan"))


def main() -> None:
    """Print the report."""
    tables = read()
    print("# Abstention: is the true label kept as often as it should be?\n")
    print(
        f"Test texts of `scores.release`, cut in halves {DRAWS} times by document: thresholds are"
        " fitted to one half, and measured on the other. *Coverage*: the true label is kept, mean"
        " of the draws ± their standard deviation; *accuracy*: of what is answered.\n"
    )
    print("| coverage | table | texts | right | thresholds | coverage | unsure | accuracy |")
    print("| ---: | --- | ---: | ---: | --- | ---: | ---: | ---: |")
    worst, apart = 0.0, 0.0
    for coverage in COVERAGES:
        found: dict[tuple[str, str], list[Measured]] = {}
        for name, way, value in drawn(tables, coverage):
            found.setdefault((name, way), []).append(value)
        for (name, way), values in found.items():
            shares = np.array([each.coverage for each in values])
            given = tables[name]
            right = float((given.probability.argmax(1) == given.truth).mean())
            rest = [np.mean([getattr(v, f) for v in values]) for f in ("unsure", "accuracy")]
            cells = " | ".join("" if np.isnan(one) else f"{one:.3f}" for one in rest)
            print(
                f"| {coverage:g} | {name} | {len(given.truth):,} | {right:.3f} | {way} |"
                f" {shares.mean():.3f} ± {shares.std():.3f} | {cells} |"
            )
            if way == OWN:
                worst = max(worst, abs(float(shares.mean()) - coverage))
                peers = np.array([each.coverage for each in found[name, PEER]])
                apart = max(apart, float(np.abs(shares - peers).max()))
    holds = "holds" if worst <= MARGIN else "does not hold"
    print(
        f"\nThresholds of the table: mean coverage within {MARGIN:g} of the nominal on each:"
        f" {holds} (the most is {worst:.3f}). Coverage of MAPIE in the same draws: at most"
        f" {apart:.3f} apart."
    )


if __name__ == "__main__":
    main()
