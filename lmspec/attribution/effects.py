"""effects: how much of a metric's move each factor makes: the metric at every mix of two commits -> effects, interactions.

Their intervals come from examples that are drawn for all corners together.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lmspec.attribution.design import OLD, Corner, Design, Weights
from lmspec.compare.revision import Unavailable
from lmspec.statistics import bootstrap, paired, predictions
from lmspec.statistics.bootstrap import Draws, Floats
from lmspec.statistics.paired import Sample, SplitMetric
from lmspec.statistics.predictions import Predictions

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Seen:
    """A metric at one corner. value: as its metrics say; predictions: what it follows from, or why there are none."""

    value: float
    predictions: Sample | Unavailable


@dataclass(frozen=True)
class Amount:
    """A difference. interval: 95 %; None where nothing is known of its spread."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Effect:
    """One factor's. None: not known, since a corner that it needs could not be built, or (alone, last) since it is pinned."""

    factor: str
    effect: Amount | None
    alone: Amount | None
    last: Amount | None


@dataclass(frozen=True)
class Interaction:
    """Of two or more factors; see `Design.interaction`. None: not known."""

    factors: tuple[str, ...]
    amount: Amount | None


@dataclass(frozen=True)
class Attribution:
    """Why one metric moved.

    old, new  its values, each on its own test split
    total     the difference, on the examples that all corners have
    examples  their number; None if the amounts are those of the metrics alone
    notes     what was left out, why there are no intervals
    """

    metric: str
    baseline: float
    candidate: float
    total: Amount
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    examples: int | None
    notes: tuple[str, ...]


def attribution(
    metric: str, part: SplitMetric, design: Design, corners: Mapping[Corner, Seen]
) -> Attribution:
    """corners: those that could be built, both commits among them. part: what the metric is of the predictions."""
    table = _table(part, corners)
    values = {corner: seen.value for corner, seen in corners.items()}

    def amount(weights: Weights | None) -> Amount | None:
        if weights is None or any(corner not in corners for corner in weights):
            return None
        if isinstance(table, Table):
            return table.amount(weights)
        return Amount(sum(weight * values[corner] for corner, weight in weights.items()), None)

    return Attribution(
        metric,
        values[OLD],
        values[design.new],
        amount(design.total()) or Amount(values[design.new] - values[OLD], None),
        tuple(
            Effect(f, amount(design.effect(f)), amount(design.alone(f)), amount(design.last(f)))
            for f in design.factors
        ),
        tuple(
            Interaction(some, amount(design.interaction(some))) for some in design.interactions()
        ),
        table.size if isinstance(table, Table) else None,
        _notes(table, corners),
    )


@dataclass
class Table:
    """The examples that all corners have, with the same label: at each corner what it answered."""

    part: SplitMetric
    sides: Mapping[Corner, Sample]

    @functools.cached_property
    def strata(self) -> tuple[predictions.Ints, tuple[str, ...]]:
        """Sources, as the last corner, the new commit, has them."""
        return predictions.numbered(self._last.table)

    @property
    def _last(self) -> Predictions:
        return list(self.sides.values())[-1].predictions

    @property
    def _chosen(self) -> list[int] | None:
        return None if self.part.table is None else [self.strata[1].index(self.part.table)]

    @property
    def size(self) -> int:
        """Number of examples."""
        return (
            len(self._last.id)
            if self._chosen is None
            else int((self.strata[0] == self._chosen[0]).sum())
        )

    @functools.cached_property
    def _parts(self) -> Mapping[Corner, Floats]:
        """What each example adds to the sums at each corner."""
        return {
            corner: alone.scale.parts(alone.predictions) for corner, alone in self.sides.items()
        }

    @functools.cached_property
    def _draws(self) -> Draws:
        parts = np.concatenate(list(self._parts.values()), axis=1)
        return bootstrap.draws(parts, paired.plan(self.strata[0], predictions.grouped(self._last)))

    def amount(self, weights: Weights) -> Amount:
        """The weighted sum of the metric at the corners; all are resampled together."""

        def statistic(sums: Floats) -> Floats:
            total, start = np.zeros(sums.shape[:-1]), 0
            for corner, alone in self.sides.items():
                if corner in weights:
                    here = sums[..., start + alone.scale.columns(self.part.name)]
                    total = total + weights[corner] * alone.scale.metric(self.part.name, here)
                start += alone.scale.width
            return np.asarray(total)

        found = bootstrap.estimate(self._draws, statistic, self._chosen)
        if found.error > 1e-12:  # what cancels out leaves the last digits of floats
            return Amount(found.value, found.interval(CONFIDENCE))
        return Amount(0.0, (0.0, 0.0)) if self._cancels(weights) else Amount(found.value, None)

    def _cancels(self, weights: Weights) -> bool:
        """Is each corner's weight taken back by others where no example differs? Then it is 0 on every test set."""
        rows = slice(None) if self._chosen is None else self.strata[0] == self._chosen[0]
        left: dict[bytes, float] = {}
        for corner, weight in weights.items():
            columns = self.sides[corner].scale.columns(self.part.name)
            alike = self._parts[corner][rows][:, columns].tobytes()
            left[alike] = left.get(alike, 0.0) + weight
        return all(abs(weight) < 1e-12 for weight in left.values())


def _table(part: SplitMetric, corners: Mapping[Corner, Seen]) -> Table | str:
    """Or why intervals cannot be had."""
    sides: dict[Corner, Sample] = {}
    for corner, seen in sorted(corners.items(), key=lambda item: len(item[0])):
        if isinstance(seen.predictions, Unavailable):
            return seen.predictions.reason
        if not seen.predictions.scale.computes(part.name):
            return "it does not follow from the predictions of examples"
        if not seen.predictions.has(part.table):
            return f"not every test split has examples of {part.table}"
        counted, _ = seen.predictions.plain(part)
        if abs(counted - seen.value) > seen.predictions.slack(part):
            return f"another scorer: predictions give {counted:.6g} where the metrics say {seen.value:.6g}"
        sides[corner] = seen.predictions
    if len({frozenset(alone.scale.labels) for alone in sides.values()}) > 1:
        return "the labels are others"
    return _in_common(part, sides)


def _in_common(part: SplitMetric, sides: Mapping[Corner, Sample]) -> Table | str:
    first, *others = (
        dict(zip(alone.predictions.id, alone.predictions.label, strict=True))
        for alone in sides.values()
    )
    common = [
        name for name, label in first.items() if all(other.get(name) == label for other in others)
    ]
    found = {}
    for corner, alone in sides.items():
        place = {name: i for i, name in enumerate(alone.predictions.id)}
        found[corner] = Sample(
            alone.predictions.rows(np.array([place[name] for name in common], np.int64)),
            alone.scale,
        )
    table = Table(part, found)
    absent = not common or (part.table is not None and part.table not in table.strata[1])
    return "another test set: the mixes have no example in common" if absent else table


def _notes(table: Table | str, corners: Mapping[Corner, Seen]) -> tuple[str, ...]:
    if isinstance(table, str):
        return (f"values without intervals: {table}",)
    sizes = sorted(
        {
            seen.predictions.size(table.part.table)
            for seen in corners.values()
            if isinstance(seen.predictions, Sample)
        }
    )
    if sizes[-1] == table.size:
        return ()
    theirs = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    said = f"on the {table.size:,} examples that all mixes have, of {theirs} on their test splits"
    return (f"{said}; what the others did to the values is in no effect",)
