"""metrics: accuracy and calibration of a classifier.

F1 and log loss are scikit-learn's to the last digit, without its import: a second of CPU time in
each stage that scores or trains.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.specs.results import WATCHED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def summary(truth: Ints, probability: Floats) -> dict[str, float]:
    """accuracy, macro_f1 and log_loss (nats).

    truth        (n,) positions of the labels
    probability  (n, k)
    Macro F1 is over the labels that have an example: of any other no recall is defined, and one
    wrong answer would make its F1 0. scikit-learn leaves out what is neither true nor predicted.
    Raises ValueError if n is 0.
    """
    if len(truth) == 0:
        raise ValueError("there is nothing to score")
    predicted = probability.argmax(1)
    own = f1(truth, predicted, probability.shape[1])
    return {
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": float(own[np.unique(truth)].mean()),
        "log_loss": log_loss(truth, probability),
    }


def f1(truth: Ints, predicted: Ints, labels: int) -> Floats:
    """(labels,) F1 of each label; 0 of one that is neither true nor predicted.

    truth, predicted  (n,) positions of the labels
    """
    right = np.bincount(truth[truth == predicted], minlength=labels)
    both = np.bincount(truth, minlength=labels) + np.bincount(predicted, minlength=labels)
    result: Floats = 2.0 * right / np.maximum(both, 1)
    return result


def log_loss(truth: Ints, probability: Floats) -> float:
    """Mean negative logarithm (nats) of the true labels' probabilities, which are at least 2^-52.

    truth, probability  (n,), (n, k)
    Raises ValueError if one is not a probability.
    """
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("what is scored are no probabilities: a number is not in 0..1")
    smallest = float(np.finfo(np.float64).eps)
    own = np.clip(probability[np.arange(len(truth)), truth], smallest, 1 - smallest)
    # the C library's: numpy's own differs in the last bit
    return float(np.mean([-math.log(value) for value in own.tolist()]))


def dev(truth: Ints, probability: Floats) -> dict[str, float]:
    """`summary`, balanced accuracy, and the number of different labels that are predicted: 1 is a
    constant answer."""
    predicted = probability.argmax(1)
    return summary(truth, probability) | {
        "balanced_accuracy": balanced_accuracy(truth, predicted),
        "predicted_labels": len(np.unique(predicted)),
    }


def quality(result: Mapping[str, float], metric: str, prefix: str = "") -> tuple[float, float]:
    """Of two results the better one has more: by a dev metric, of equal ones by their log loss.

    Log loss moves before a label does.

    prefix  of the names in the result
    """
    sign = 1 if WATCHED[metric] == "higher" else -1
    return sign * result[f"{prefix}{metric}"], -result.get(f"{prefix}log_loss", 0.0)


def warnings(dev: Mapping[str, float], truth: Ints) -> Iterator[str]:
    """What makes a trained model worth little, by its metrics (`dev`) on the n dev texts."""
    share = np.bincount(truth).max() / len(truth)
    if dev["predicted_labels"] == 1 and share < 1:
        yield "warning: it answers one label to every dev text"
    elif dev["accuracy"] <= share < 1:
        yield (
            f"warning: it is right on {dev['accuracy']:.3f} of the dev texts, and always answering "
            f"the most frequent label would be on {share:.3f}"
        )


def full(truth: Ints, probability: Floats, labels: tuple[str, ...], bins: int) -> dict[str, Any]:
    """`summary`, balanced accuracy, F1 per class, calibration error, and the number of examples.

    The F1 of a class without an example is None, null in JSON.
    """
    predicted = probability.argmax(1)
    counts = np.bincount(truth, minlength=len(labels))
    return summary(truth, probability) | {
        "balanced_accuracy": balanced_accuracy(truth, predicted),
        "f1": {
            label: float(value) if count else None
            for label, value, count in zip(
                labels, f1(truth, predicted, len(labels)), counts, strict=True
            )
        },
        "expected_calibration_error": expected_calibration_error(
            probability.max(1), predicted == truth, bins
        ),
        "examples": len(truth),
    }


def balanced_accuracy(truth: Ints, predicted: Ints) -> float:
    """Mean recall over the labels that have an example, in 0..1; any constant answer has 1 / k.

    truth, predicted  (n,) positions of the labels
    Raises ValueError if n is 0.
    Source: Brodersen et al. 2010, ICPR; scikit-learn's of the same name.
    """
    if len(truth) == 0:
        raise ValueError("there is nothing to score")
    size = int(max(truth.max(), predicted.max())) + 1
    true = np.bincount(truth, minlength=size)  # (k,)
    right = np.bincount(truth[truth == predicted], minlength=size)
    return float((right[true > 0] / true[true > 0]).mean())


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int) -> float:
    """Gap between confidence and accuracy in equal-width bins, weighted by size; in 0..1.

    confidence  (n,) probability of the predicted class
    correct     (n,)
    Empty bins count nothing. Raises ValueError if n is 0.
    Source: Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599.
    """
    if len(confidence) == 0:
        raise ValueError("there is nothing to score")
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)  # (n,), 1.0 in the last
    gaps = np.bincount(
        place, weights=correct.astype(np.float64) - confidence, minlength=bins
    )  # (bins,)
    return float(np.abs(gaps).sum() / len(confidence))
