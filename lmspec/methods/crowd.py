"""crowd: one score or label of several people's ratings, and what each rater is worth."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_ROUNDS = 200
TOLERANCE = 1e-6  # change of the estimates, in units of the scale, at which they hold
PRIOR_RATINGS = 4.0  # a rater's variance is shrunk to that of all as if by so many ratings
LEAST_WEIGHT = 1e-3  # of a rater at random, so that a text with no other has a score
LEAST_VARIANCE = 1e-3  # of the scale's: raters who agree on everything
MOST_RANDOM, LEAST_RANDOM = 0.5, 1e-3  # share of raters at random: a crowd of them says nothing
LOG_ODDS = 30.0
DIGITS = 9  # of a score
SUSPECTED = 0.5  # probability of answering at random from which a rater is suspected
SIGNAL = 3.0  # standard errors from chance from which a position is a person


class Ratings(NamedTuple):
    """Ratings, one an item.

    row     (N,) whose text it is, from 0
    rater   (N,) who gave it, from 0
    value   (N,) a number, or the position of a label
    rows    number of texts, with those that have none
    raters  number of people, with those who gave none
    """

    row: Ints
    rater: Ints
    value: Floats
    rows: int
    raters: int

    @property
    def of_row(self) -> Ints:
        """(rows,) how many ratings each text has."""
        return np.bincount(self.row, minlength=self.rows)

    @property
    def of_rater(self) -> Ints:
        """(raters,) how many ratings each rater gave."""
        return np.bincount(self.rater, minlength=self.raters)


class Raters(NamedTuple):
    """What a model says of each rater.

    bias       (raters,) what is added to a score; 0 of labels
    precision  (raters,) inverse variance of a score; of labels, the share that is right
    random     (raters,) probability that the ratings have nothing to do with the texts
    """

    bias: Floats
    precision: Floats
    random: Floats

    @property
    def suspected(self) -> NDArray[np.bool_]:
        """(raters,) is it more likely than not that they answer at random?"""
        return self.random > SUSPECTED


class Scores(NamedTuple):
    """A score of each text; nan of one without ratings.

    variance  (rows,) squared standard error
    weight    (N,) of each rating
    raters    None of a model that takes all for equal
    """

    score: Floats
    variance: Floats
    weight: Floats
    raters: Raters | None


def per(index: Ints, values: Floats, size: int) -> Floats:
    """(size,) sums of the values that have the same index."""
    return np.bincount(index, values, size).astype(np.float64)


def mean(ratings: Ratings) -> Scores:
    """Means, with standard errors from the variance within texts, which is the same for all."""
    count = ratings.of_row
    with np.errstate(invalid="ignore", divide="ignore"):
        score = per(ratings.row, ratings.value, ratings.rows) / count
        free = max(int((count - 1).clip(min=0).sum()), 1)
        spread = float(((ratings.value - score[ratings.row]) ** 2).sum()) / free
        return Scores(score, spread / count, np.ones(len(ratings.value)), None)


def bias_precision(ratings: Ratings) -> Scores:
    """Means without each rater's bias, weighted by precision, in which random raters count little.

    A rating is score + bias + noise of the rater's own variance; or, with a probability that is
    estimated, all ratings of a rater are at random, anywhere on the scale. Biases and variances are
    shrunk to those of the crowd: a rater may have few texts. Fitted by expectation and
    maximization, which begins with all raters equal, so that the crowd decides who is off.

    Raises ValueError if all ratings are the same.
    Source: bias and precision as in Piech et al. 2013, arXiv:1307.2579, model PG1; raters at random
    as in MACE, Hovy et al. 2013.
    """
    x, row, rater = ratings.value, ratings.row, ratings.rater
    span = float(np.ptp(x)) if len(x) else 0.0
    if span == 0:
        raise ValueError("all ratings are the same")
    rows, people = ratings.rows, ratings.raters
    count = ratings.of_rater.astype(float)
    variance, bias = np.full(people, float(x.var()) / 2), np.zeros(people)
    honest, of_bias, share = np.ones(people), 0.1, 0.2
    score = np.zeros(rows)
    weight = np.ones(len(x))
    for _ in range(MOST_ROUNDS):
        before = score
        common = float((honest * variance * count).sum() / (honest * count).sum())
        weight = (np.maximum(honest, LEAST_WEIGHT) / variance)[rater]
        total = np.maximum(per(row, weight, rows), 1e-12)
        score = per(row, weight * (x - bias[rater]), rows) / total
        error = np.minimum(1 / total, float(x.var()))
        sureness = count / variance + 1 / of_bias
        bias = per(rater, x - score[row], people) / variance / sureness
        squares = per(rater, (x - score[row] - bias[rater]) ** 2 + error[row], people)
        squares += count / sureness
        variance = (PRIOR_RATINGS * common + squares) / (PRIOR_RATINGS + count)
        variance = np.maximum(variance, LEAST_VARIANCE * float(x.var()))
        of_bias = float((honest * (bias**2 + 1 / sureness)).sum() / honest.sum())
        evidence = -count / 2 * np.log(2 * np.pi * variance) - squares / variance / 2
        honest = _sure(evidence + count * np.log(span), share)
        share = float(np.clip(1 - honest.mean(), LEAST_RANDOM, MOST_RANDOM))
        if np.abs(score - before).max() < TOLERANCE * span:
            break
    none = ratings.of_row == 0
    score = score.round(DIGITS)  # a score is at the bound of a band in spite of rounding
    score, error = np.where(none, np.nan, score), np.where(none, np.nan, error)
    return Scores(score, error, weight, Raters(bias, 1 / variance, 1 - honest))


def _sure(evidence: Floats, share: float) -> Floats:
    """(raters,) probability to be honest. evidence: log of the odds, but for the share of others"""
    odds: Floats = np.clip(evidence + np.log((1 - share) / share), -LOG_ODDS, LOG_ODDS)
    honest: Floats = 1 / (1 + np.exp(-odds))
    return honest


class Labels(NamedTuple):
    """Probabilities of labels.

    probability  (rows, labels); nan of a text without ratings
    weight       (N,) of each rating
    raters       None of a model that takes all for equal
    """

    probability: Floats
    weight: Floats
    raters: Raters | None


def majority(ratings: Ratings, labels: int) -> Labels:
    """Shares of the ratings."""
    count, each = ratings.of_row[:, None], np.ones(len(ratings.value))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Labels(_votes(ratings, each, labels) / count, each, None)


def _votes(ratings: Ratings, weight: Floats, labels: int) -> Floats:
    """(rows, labels) sums of weights."""
    place = ratings.row * labels + ratings.value.astype(np.int64)
    return per(place, weight, ratings.rows * labels).reshape(ratings.rows, labels)


def one_coin(ratings: Ratings, labels: int) -> Labels:
    """Probabilities where each rater is right as often as their accuracy says, on every label.

    A wrong rating is any other label alike. Accuracies are shrunk to that of the crowd; the shares
    of the labels are those of the ratings. A rater is at random whose accuracy is that of chance.
    Source: one-coin model of Dawid & Skene 1979; Raykar et al. 2010.
    """
    chosen, row, rater = ratings.value.astype(np.int64), ratings.row, ratings.rater
    people, count = ratings.raters, ratings.of_rater.astype(float)
    prior = np.log(np.bincount(chosen, minlength=labels) + 1.0) - np.log(len(chosen) + labels)
    probability = majority(ratings, labels).probability
    accuracy = np.full(people, 0.5)
    for _ in range(MOST_ROUNDS):
        before = accuracy
        right = per(rater, probability[row, chosen], people)
        common = float(right.sum() / count.sum())
        accuracy = (PRIOR_RATINGS * common + right) / (PRIOR_RATINGS + count)
        accuracy = np.clip(accuracy, 0.01, 0.99)
        odds = np.log(accuracy * (labels - 1) / (1 - accuracy))
        logs = prior + _votes(ratings, odds[rater], labels)
        logs -= logs.max(axis=1, keepdims=True)
        probability = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
        if np.abs(accuracy - before).max() < TOLERANCE:
            break
    honest = _informed(right, count, labels)
    probability[ratings.of_row == 0] = np.nan
    raters = Raters(np.zeros(people), accuracy, 1 - honest)
    return Labels(probability, honest[rater], raters)


def _informed(right: Floats, count: Floats, labels: int) -> Floats:
    """(raters,) probability that a rater's accuracy is one of the crowd's, and not that of chance.

    right  (raters,) expected number of right ratings, of `count`
    """
    honest, share = np.ones(len(count)), 0.1
    for _ in range(MOST_ROUNDS):
        before = honest
        common = float((honest * right).sum() / (honest * count).sum())
        common = float(np.clip(common, 1 / labels, 0.99))
        one, two = PRIOR_RATINGS * common, PRIOR_RATINGS * (1 - common)
        evidence = _log_beta(one + right, two + count - right) - _log_beta(one, two)
        chance = right * np.log(1 / labels) + (count - right) * np.log(1 - 1 / labels)
        honest = _sure(evidence - chance, share)
        share = float(np.clip(1 - honest.mean(), LEAST_RANDOM, MOST_RANDOM))
        if np.abs(honest - before).max() < TOLERANCE:
            break
    return honest


def _log_beta(one: Floats | float, two: Floats | float) -> Floats:
    gamma = np.vectorize(math.lgamma, otypes=[float])
    result: Floats = gamma(one) + gamma(two) - gamma(np.add(one, two))
    return result


def signal(ratings: Ratings, labels: int | None) -> tuple[float, float]:
    """Are raters people? (correlation, standard errors from chance), the stronger of two.

    What a rating departs from its text's mean is compared with what the same rater departs in the
    next text of theirs: a person is lenient or strict, or far off, in one text as in the next. By
    chance, the ratings of a text in any other order would do as well; mean and variance of that
    are known.

    labels  how many, if the ratings are such; None of numbers
    """
    row, value, rows = ratings.row, ratings.value, ratings.rows
    if labels is None:
        views = [value, (value - mean(ratings).score[row]) ** 2]
    else:
        most = majority(ratings, labels).probability.argmax(axis=1)
        views = [(value == most[row]).astype(float)] + [value] * (labels == 2)
    return max((_lagged(ratings, view, rows) for view in views), key=lambda found: found[1])


def _lagged(ratings: Ratings, view: Floats, rows: int) -> tuple[float, float]:
    row, count = ratings.row, np.maximum(ratings.of_row, 1)
    away = view - (per(row, view, rows) / count)[row]
    square = per(row, away**2, rows) / count
    order = np.lexsort((row, ratings.rater))
    one, two = order[:-1], order[1:]
    several = (count[row[one]] > 1) & (count[row[two]] > 1)
    pair = (ratings.rater[one] == ratings.rater[two]) & several
    one, two = one[pair], two[pair]
    squares = square[row[one]] * square[row[two]]
    least = np.minimum(count[row[one]], count[row[two]])
    chance = float((squares * least / (least - 1)).sum())
    product = float((away[one] * away[two]).sum())
    return (
        (product / float(np.sqrt(squares).sum()), product / chance**0.5) if chance else (0.0, 0.0)
    )
