"""logistic: one linear layer, fitted by logistic regression, chosen and calibrated on dev texts."""

import dataclasses
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lmspec.methods import metrics
from lmspec.methods.reading import probabilities
from lmspec.specs.training import LogisticRegression

Solver = Any  # sklearn.linear_model.LogisticRegression
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LARGEST_TEMPERATURE = 20.0
SMALLEST = 1e-300  # its logarithm is finite
# Inner products of all rows take time that grows with the cube of their number, and a fit on all
# features time that grows with their number times that of the outputs.
MOST_ROWS, ROWS_PER_OUTPUT = 2000, 400
WIDE = 4  # times as many features as rows
INDEPENDENT = 1e-10  # of the largest eigenvalue; what is below is rounding


@dataclass(frozen=True)
class Fitted:
    """A layer, calibrated: logits are features @ weight.T + bias.

    weight, bias  (k, f), (k,)
    curve         one row for each inverse regularization
    best          the row of this layer
    """

    weight: Floats
    bias: Floats
    curve: list[dict[str, Any]]
    best: dict[str, Any]

    @property
    def inverse_regularization(self) -> float:
        """The chosen one."""
        return float(self.best["inverse_regularization"])


Layer = Callable[[Any, Any], Fitted]  # features of train and dev -> a layer on them


def best(column: str, attempts: Mapping[Any, Fitted]) -> tuple[Any, Fitted]:
    """(name, fit) with the lowest dev log loss, of equal ones the first; its curve has all rows.

    column  of the curve: the name of each attempt
    """
    rows: list[dict[str, Any]] = []
    kept: tuple[Any, Fitted, dict[str, Any]] | None = None
    for name, fitted in attempts.items():
        steps = len(rows)
        rows += [{column: name} | row | {"step": steps + row["step"]} for row in fitted.curve]
        own = rows[steps + fitted.curve.index(fitted.best)]
        if kept is None or own["dev_log_loss"] < kept[2]["dev_log_loss"]:
            kept = name, fitted, own
    if kept is None:
        raise ValueError("there is nothing to choose from")
    return kept[0], dataclasses.replace(kept[1], curve=rows, best=kept[2])


def fit(
    train: Any,
    truth: Ints,
    dev: Any,
    dev_truth: Ints,
    classes: int,
    recipe: LogisticRegression,
    train_of: Ints | None = None,
    dev_of: Ints | None = None,
    each: Floats | None = None,
) -> Fitted:
    """Fit for each inverse regularization; keep the lowest calibrated log loss on dev texts.

    From small to large, each fit starts where the one before ended. Of equal ones the smallest is
    kept. Without dev texts there is one to fit, and nothing to calibrate it by.

    train, dev        (w, f) features, dense or sparse rows: one row a text, or several
    truth, dev_truth  (n,) positions of the texts' labels
    train_of, dev_of  (w,) position of each row's text, ascending; None: one row a text
    classes           k
    each              (n,) how much each training text counts; None: all the same
    Raises ValueError if all training texts have one label, or several values lack dev texts.
    """
    # here: a model is read without them, and they take half a second of CPU time
    from sklearn.linear_model import LogisticRegression as Regression

    present = np.unique(truth)
    if len(present) < 2:
        raise ValueError("all training texts have the same label")
    if not len(dev_truth) and len(set(recipe.inverse_regularization)) > 1:
        raise ValueError("without dev texts nothing decides between several values")
    rows_of = np.arange(len(truth)) if train_of is None else train_of
    shares = _shares(np.ones(len(truth)) if each is None else each, rows_of)
    solver = Regression(max_iter=recipe.max_iterations, warm_start=True)
    rows, unturned = turned(train, len(present) if len(present) > 2 else 1)
    learned, held_out = Texts(train, truth, train_of), Texts(dev, dev_truth, dev_of)
    curve: list[dict[str, Any]] = []
    kept: Fitted | None = None
    for step, inverse in enumerate(sorted(set(recipe.inverse_regularization)), start=1):
        start = time.monotonic()
        _solve(solver, inverse, rows, truth[rows_of], shares)
        weight, bias = unturned(solver.coef_), solver.intercept_
        weight, bias = _layer(weight, bias, present, classes, len(truth))
        tried = {
            "step": step,
            "inverse_regularization": inverse,
            "iterations": int(np.max(solver.n_iter_)),
        }
        fitted = _calibrated(weight, bias, learned, held_out, tried)
        curve.append(fitted.best)
        _say(fitted.best, recipe, time.monotonic() - start)
        if kept is None or fitted.best["dev_log_loss"] < kept.best["dev_log_loss"]:
            kept = fitted
    assert kept is not None  # there is a value to try
    return dataclasses.replace(kept, curve=curve)


@dataclass(frozen=True)
class Texts:
    """features: (w, f), one row a text or several; truth: (n,); of: (w,) text of each row."""

    features: Any
    truth: Ints
    of: Ints | None


def _shares(each: Floats, rows_of: Ints) -> Floats:
    """(w,) weight of each row; the rows of a text share its weight, (n,)."""
    shares = each[rows_of]
    result: Floats = shares / np.bincount(rows_of)[rows_of]
    return result


def _solve(solver: Solver, inverse: float, rows: Any, truth: Ints, shares: Floats) -> None:
    """Go on from the solver's last fit with another regularization."""
    from sklearn.exceptions import ConvergenceWarning

    solver.set_params(C=inverse)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(rows, truth, sample_weight=shares)


def _calibrated(
    weight: Floats, bias: Floats, train: Texts, dev: Texts, tried: dict[str, Any]
) -> Fitted:
    """The layer over the temperature that suits the dev texts. tried: begins its row of the curve.

    weight, bias  (k, f), (k,)
    """
    raw = np.asarray(dev.features @ weight.T + bias)
    heat = temperature(raw, dev.truth, dev.of) if len(dev.truth) else 1.0
    weight, bias = weight / heat, bias / heat
    own = averaged(np.asarray(train.features @ weight.T + bias), train.of)
    row = tried | {
        "temperature": heat,
        "train_loss": metrics.summary(train.truth, own)["log_loss"],
    }
    on_dev = metrics.dev(dev.truth, averaged(raw / heat, dev.of)) if len(dev.truth) else {}
    row |= {f"dev_{name}": value for name, value in on_dev.items()}
    return Fitted(weight, bias, [row], row)


def turned(features: Any, outputs: int) -> tuple[Any, Callable[[Floats], Floats]]:
    """Rows with the same inner products but fewer features, and a function that turns weights back.

    The best weights are a sum of the rows, whose regularization only asks for their length. So the
    fit is the same on (w, r) features, r at most w, and for few texts with many n-grams 50 times
    faster. Source: Hastie and Tibshirani 2004, doi:10.1093/biostatistics/5.3.329.

    features  (w, f), dense or sparse; returned as they are where this saves no time
    outputs   that the solver fits
    """
    count, width = features.shape
    if count > min(MOST_ROWS, ROWS_PER_OUTPUT * outputs) or width < WIDE * count:
        return features, lambda weight: weight
    exact = features.astype(np.float64)
    products = exact @ exact.T  # (w, w)
    values, vectors = np.linalg.eigh(products.toarray() if sparse.issparse(products) else products)
    kept = values > max(values[-1], SMALLEST) * INDEPENDENT
    if not kept.any():  # no row has a feature
        return features, lambda weight: weight
    scale = np.sqrt(values[kept])
    vectors = vectors[:, kept]  # (w, r)

    def unturned(weight: Floats) -> Floats:
        """(k, r) -> (k, f)."""
        result: Floats = np.ascontiguousarray((exact.T @ (vectors @ (weight / scale).T)).T)
        return result

    return vectors * scale, unturned


def _layer(
    weight: Floats, bias: Floats, present: Ints, classes: int, texts: int
) -> tuple[Floats, Floats]:
    """(k, f) and (k,). Of two labels scikit-learn fits the difference: each gets half of it."""
    if len(present) == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    every = np.zeros((classes, weight.shape[1]))
    # a label without a training text: less likely than any other
    every_bias = np.full(classes, bias.min() - np.log(texts + 1))
    every[present], every_bias[present] = weight, bias
    return every, every_bias


def averaged(logits: NDArray[Any], of: Ints | None) -> Floats:
    """(n, k) probabilities of each text: the mean of those of its rows. of: (w,) as for `fit`."""
    each = probabilities(logits)  # of any precision
    if of is None:
        return each
    first = np.flatnonzero(np.diff(of, prepend=-1))
    result: Floats = np.add.reduceat(each, first) / np.diff(first, append=len(each))[:, None]
    return result


def temperature(logits: Floats, truth: Ints, of: Ints | None = None) -> float:
    """By which to divide logits for the lowest log loss. Source: Guo et al. 2017, arXiv:1706.04599.

    logits  (w, k)
    truth   (n,)
    of      (w,) as for `fit`
    The true label's target is (n + 1) / (n + k), so that a few texts without an error do not ask
    for certainty. Source: Platt 1999, for two labels.
    """
    from scipy import optimize  # as in `fit`

    n, k = len(truth), logits.shape[1]
    target = np.full((n, k), 1 / (n + k))
    target[np.arange(n), truth] = (n + 1) / (n + k)

    def loss(log_heat: float) -> float:
        probability = averaged(logits / np.exp(log_heat), of)
        return float(-(target * np.log(np.maximum(probability, SMALLEST))).sum() / n)

    bound = float(np.log(LARGEST_TEMPERATURE))
    found = optimize.minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))


def report(fitted: Fitted) -> dict[str, Any]:
    """Metrics of a fit, named as those of a training: a step is a value that was tried."""
    dev = {k.removeprefix("dev_"): v for k, v in fitted.best.items() if k.startswith("dev_")}
    steps = {"best_step": fitted.best["step"], "steps": len(fitted.curve)}
    return {"dev": dev} | steps if dev else steps


def _say(row: dict[str, Any], recipe: LogisticRegression, seconds: float) -> None:
    end = " (not converged)" if row["iterations"] >= recipe.max_iterations else ""
    on_dev = (
        f"dev accuracy {row['dev_accuracy']:.4f}  macro F1 {row['dev_macro_f1']:.4f}  "
        f"log loss {row['dev_log_loss']:.4f}"
        if "dev_accuracy" in row
        else f"log loss of training {row['train_loss']:.4f}"
    )
    print(
        f"  inverse regularization {row['inverse_regularization']:g}  "
        f"{row['iterations']} iterations{end}  {seconds:.1f} s  {on_dev}",
        file=sys.stderr,
        flush=True,
    )
