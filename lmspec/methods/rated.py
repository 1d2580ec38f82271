"""rated: the label of each text that people rated, or why it has none."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmspec.errors import LmspecError, some
from lmspec.methods import crowd, reliability
from lmspec.methods.crowd import Floats, Ints, Raters, Ratings
from lmspec.methods.labelling import NoLabel
from lmspec.methods.rating import Given
from lmspec.specs.ratings import Position, RatingsLabel
from lmspec.specs.tabular import Band

TOO_FEW, DISAGREE, TIED = "too few ratings", "raters disagree", "ratings are tied"
NO_BAND = "score in no band"
SHOWN = 60
MOST = 1e15  # of a rating, as of the bounds of bands: squares of larger ones are no numbers
NO_VALUE = -1  # position of a label that a rating does not give


class Rated(NamedTuple):
    """What raters gave the texts.

    labels       label of each text, or why it has none
    probability  (n,) of that label among the labels; nan where there is none
    disagreement (n,) weight of the ratings for another label; nan where there is none
    names, raters, counts  of the raters, if the model knows some; how many ratings each gave
    metrics      alpha, and counts
    """

    labels: list[str | NoLabel]
    probability: Floats
    disagreement: Floats
    names: list[str]
    raters: Raters | None
    counts: Ints
    metrics: dict[str, float]


def labelled(given: Given, rule: RatingsLabel, labels: Sequence[str], place: str) -> Rated:
    """The label of each text.

    Raises LmspecError of a rating that is none, and where positions are not people.
    """
    values = (
        [_label(one, labels, number, place) for one, number in _written(given)]
        if rule.bands is None
        else [_number(one, number, place) for one, number in _written(given)]
    )
    every = Ratings(
        np.asarray(given.row, np.int64),
        np.asarray(given.rater, np.int64),
        np.asarray(values, float),
        given.units,
        len(given.raters),
    )
    gives = _given(every.value, rule.bands, labels)
    scored = rule.model in ("mean", "bias_precision")
    there = np.ones(len(gives), bool) if scored else gives != NO_VALUE
    used = every if scored else _chosen(every, there, gives)
    signal = _require_signal(used, rule, None if scored else len(labels), place)
    fit = _scored if scored else _voted
    found, probability, weight, raters = fit(used, rule, labels, place)
    texts = np.bincount(every.row, minlength=every.rows)
    disagreement = _disagreement(used.row, gives[there], weight, found, labels, every.rows)
    contested = np.asarray(
        [
            isinstance(one, str) and share > rule.disagreement.more_than
            for one, share in zip(found, disagreement, strict=True)
        ],
        bool,
    )
    for i in range(every.rows):
        if texts[i] < rule.min_raters:
            found[i] = NoLabel(TOO_FEW, str(texts[i]))
        elif contested[i] and rule.disagreement.then == "reject":
            found[i] = NoLabel(DISAGREE, f"{disagreement[i]:.2f}")
    enough = texts >= rule.min_raters
    alpha = reliability.alpha(used, nominal=not scored)
    metrics: dict[str, float] = {
        "rows": int((texts > 0).sum()),
        "ratings": len(every.value),
        "disagreed": int((contested & enough).sum()),
    }
    metrics |= {} if math.isnan(alpha) else {"alpha": alpha}
    metrics |= {} if signal is None else {"signal": signal}
    if raters is not None:
        metrics |= {"raters": len(given.raters), "suspected": int(raters.suspected.sum())}
    return Rated(found, probability, disagreement, given.raters, raters, every.of_rater, metrics)


def _written(given: Given) -> Iterable[tuple[str, int]]:
    return zip(given.text, given.place, strict=True)


def _number(text: str, number: int, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MOST:
        why = "no number" if math.isnan(value) else "too large for a rating"
        what = f"row {number} has {text[:SHOWN]!r} among its ratings, which is {why}"
        raise LmspecError(place, what, "correct it; what stands for no rating is in `missing`")
    return value


def _label(text: str, labels: Sequence[str], number: int, place: str) -> float:
    if text.strip() not in labels:
        what = f"row {number} has {text[:SHOWN]!r} among its ratings, which is none of the labels"
        remedy = f"the labels are {some(list(labels))}; of numbers, give `bands`"
        raise LmspecError(place, what, remedy)
    return float(labels.index(text.strip()))


def _given(value: Floats, bands: Sequence[Band] | None, labels: Sequence[str]) -> Ints:
    """(N,) position of the label that each rating gives by itself, or NO_VALUE."""
    if bands is None:
        return value.astype(np.int64)
    known = {number: _band(number, bands, labels) for number in np.unique(value).tolist()}
    return np.asarray([known[number] for number in value.tolist()], np.int64)


def _band(score: float, bands: Sequence[Band], labels: Sequence[str]) -> int:
    label = next((band.label for band in bands if band.holds_score(score)), None)
    return NO_VALUE if label is None else labels.index(label)


def _chosen(every: Ratings, there: "np.ndarray[Any, np.dtype[np.bool_]]", gives: Ints) -> Ratings:
    row, rater = every.row[there], every.rater[there]
    return Ratings(row, rater, gives[there].astype(float), every.rows, every.raters)


def _require_signal(
    ratings: Ratings, rule: RatingsLabel, labels: int | None, place: str
) -> float | None:
    """The correlation that shows positions to be people. Raises LmspecError without."""
    if not isinstance(rule.rater, Position):
        return None
    correlation, errors = crowd.signal(ratings, labels)
    if errors < crowd.SIGNAL:
        what = "nothing shows that the same position is the same person: what ratings depart from"
        what += f" the mean of their text correlates by {correlation:.3f} from one row to the next"
        what += f" of a block, {errors:.1f} standard errors from chance, and {crowd.SIGNAL:g} are"
        what += " needed"
        simple = "mean" if labels is None else "majority"
        remedy = f"take `model: {simple}` and `rater: null`, or correct `rater.rows`"
        raise LmspecError(place, what, remedy)
    return correlation


def _scored(
    ratings: Ratings, rule: RatingsLabel, labels: Sequence[str], place: str
) -> tuple[list[str | NoLabel], Floats, Floats, Raters | None]:
    assert rule.bands is not None  # specs/checks/ratings.py:scores_have_bands
    try:
        fitted = crowd.mean(ratings) if rule.model == "mean" else crowd.bias_precision(ratings)
    except ValueError as error:
        raise LmspecError(place, str(error), "take `model: mean` and `rater: null`") from None
    found: list[str | NoLabel] = []
    probability = np.full(ratings.rows, np.nan)
    for i, (score, variance) in enumerate(zip(fitted.score, fitted.variance, strict=True)):
        place_of = NO_VALUE if math.isnan(score) else _band(float(score), rule.bands, labels)
        if place_of == NO_VALUE:
            found.append(NoLabel(NO_BAND, f"{score:.4g}"))
            continue
        found.append(labels[place_of])
        mass = _mass(float(score), float(variance) ** 0.5, rule.bands)
        probability[i] = mass[labels[place_of]] / (sum(mass.values()) or 1.0)
    return found, probability, fitted.weight, fitted.raters


def _mass(score: float, error: float, bands: Sequence[Band]) -> dict[str, float]:
    """Label -> probability that the score, known with this standard error, is in its bands."""
    mass = dict.fromkeys((band.label for band in bands), 0.0)
    for band in bands:
        ends = (band.at_least, -math.inf), (band.at_most, math.inf)
        low, high = (
            math.erf(((other if end is None else end) - score) / max(error, 1e-9) / 2**0.5)
            for end, other in ends
        )
        mass[band.label] += (high - low) / 2
    return mass


def _voted(
    ratings: Ratings, rule: RatingsLabel, labels: Sequence[str], place: str
) -> tuple[list[str | NoLabel], Floats, Floats, Raters | None]:
    fitted = (crowd.majority if rule.model == "majority" else crowd.one_coin)(ratings, len(labels))
    found: list[str | NoLabel] = []
    most = np.full(ratings.rows, np.nan)
    for i, row in enumerate(fitted.probability):
        best = int(row.argmax())
        if math.isnan(row[best]):
            found.append(NoLabel(NO_BAND, ""))
        elif (row > row[best] - 1e-9).sum() > 1:
            found.append(NoLabel(TIED, ""))
        else:
            found.append(labels[best])
            most[i] = row[best]
    return found, most, fitted.weight, fitted.raters


def _disagreement(
    row: Ints,
    gives: Ints,
    weight: Floats,
    found: Sequence[str | NoLabel],
    labels: Sequence[str],
    rows: int,
) -> Floats:
    """(rows,) weight of the ratings that give another label, as a share; nan without a label."""
    position = {label: i for i, label in enumerate(labels)}
    own = np.asarray(
        [position.get(one, NO_VALUE) if isinstance(one, str) else NO_VALUE for one in found],
        np.int64,
    )
    other = (gives != NO_VALUE) & (gives != own[row])
    total = crowd.per(row, weight, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = crowd.per(row, weight * other, rows) / total
    return np.where(own == NO_VALUE, np.nan, share)
