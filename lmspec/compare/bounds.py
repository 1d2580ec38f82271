"""bounds: between which values a metric, a difference, a ratio or a gap lies, each end one-sided at a confidence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmspec.compare import ratios, spread
from lmspec.compare.evidence import Evidence
from lmspec.compare.report import Better
from lmspec.compare.revision import Fault, at, number
from lmspec.language import metric_names, nouns
from lmspec.pipeline import paths as places
from lmspec.statistics import bootstrap, exact
from lmspec.statistics.bootstrap import Estimate
from lmspec.statistics.margins import Reach
from lmspec.statistics.paired import Alone, Paired, Slice, part_of

Path = tuple[str, ...]
MOST = 10**9  # examples that anybody could be asked for


@dataclass(frozen=True)
class Bounds:
    """value, and the ends; the rest is what tells how many examples would decide.

    error    standard error of the value among so many examples
    reach    of a metric of answers: how far it may be, however few are wrong
    """

    value: float
    low: float
    high: float
    examples: int = 0
    error: float = 0.0
    confidence: float = 0.95
    reach: Reach | None = None

    def needed_at(self, limit: float) -> int | None:
        """About how many examples would put an end on one side of the limit; None if nobody can tell."""
        if not self.examples:
            return None
        plain = (
            bootstrap.needed(self.examples, self.error, self.value - limit, self.confidence)
            if self.error
            else None
        )
        if plain is not None and plain > MOST:
            return None  # it lies at the limit, but for the last digit of a float
        reach = self.reach
        if reach is None:
            return None if plain is None else max(plain, self.examples + 1)

        def decides(examples: int) -> bool:
            below, above = reach.at(self.confidence, examples / self.examples)
            return not self.value - below <= limit <= self.value + above

        found = fewest(decides, self.examples)
        return None if found is None else max(found, plain or 0)


def of_value(evidence: Evidence, artifact: str, path: Path, confidence: float) -> Bounds | str:
    """Of a metric of the new side; or why there are none."""
    alone = evidence.alone("new", artifact, path[0])
    if isinstance(alone, Fault):
        return alone.reason
    part = part_of(path[1:])
    if not alone.scale.computes(part.name):
        return "it does not follow from the predictions"
    if part.table is not None and part.table not in alone.side.table:
        return f"no example of {part.table} is among the predictions"
    other = evidence.disagrees("new", artifact, path[0], part)
    if other:
        return other
    return of_side(alone, part, confidence)


def of_side(alone: Alone, part: Slice, confidence: float) -> Bounds:
    """Of a metric, by the predictions of one side."""
    found = _of_estimate(alone.value(part), alone.size(part.table), confidence)
    if part.name == "expected_calibration_error":
        found = _calibration(found, alone.scatter(part, confidence))
    if part.of_answers:
        found = _reaching(found, alone.reach(part))
    return (
        found
        if part.name == "log_loss"
        else replace(found, low=max(0.0, found.low), high=min(1.0, found.high))
    )


def _calibration(found: Bounds, scatter: float) -> Bounds:
    """Of a calibration error, which chance makes larger; replicates have that bias twice, and correct too much of it.

    scatter  of the error above the true one
    """
    high = found.value + exact.NORMAL.inv_cdf(found.confidence) * found.error
    return replace(found, low=min(found.low, found.value - scatter), high=max(found.high, high))


def _reaching(found: Bounds, reach: Reach) -> Bounds:
    """No nearer than exact intervals of the answers allow."""
    below, above = reach.at(found.confidence)
    return _widened(replace(found, reach=reach), found.value - below, found.value + above)


def _widened(found: Bounds, low: float, high: float) -> Bounds:
    """By other bounds, or to them where the bootstrap saw no spread."""
    if found.error:
        low, high = min(low, found.low), max(high, found.high)
    return replace(found, low=low, high=high)


def of_difference(evidence: Evidence, artifact: str, path: Path, confidence: float) -> Bounds | str:
    """Of new - old; or why there are none."""
    if nouns.evidence(artifact, path) == "size":
        old, new = (_value(evidence, side, artifact, path) for side in ("old", "new"))
        return (
            "a side does not have it"
            if old is None or new is None
            else Bounds(new - old, new - old, new - old)
        )
    if not artifact.startswith("scores."):
        same = (
            _value(evidence, "old", artifact, path)
            == _value(evidence, "new", artifact, path)
            is not None
        )
        return Bounds(0.0, 0.0, 0.0) if same else spread.unknown(artifact, path)
    paired = evidence.scored(artifact, path)
    if isinstance(paired, Fault):
        return paired.reason
    return Bounds(0.0, 0.0, 0.0) if paired.same else of_pairs(paired, part_of(path[1:]), confidence)


def of_pairs(paired: Paired, part: Slice, confidence: float) -> Bounds:
    """Of the difference of two sides' predictions."""
    rows = paired.rows(part.table)
    found = paired.difference(part)
    plain = _of_estimate(found, len(rows), confidence)
    if part.name != "accuracy" and paired.p(part, found)[0] / 2 > 1 - confidence:
        plain = replace(plain, low=min(plain.low, 0.0), high=max(plain.high, 0.0))
    return _reaching(plain, paired.reach(part)) if part.of_answers else plain


def _of_estimate(found: Estimate, examples: int, confidence: float) -> Bounds:
    """With no spread among the examples, nothing is known of one."""
    if not found.error:
        return Bounds(found.value, -math.inf, math.inf, examples, 0.0, confidence)
    return Bounds(
        found.value,
        found.bound(1 - confidence),
        found.bound(confidence),
        examples,
        found.error,
        confidence,
    )


def of_ratio(evidence: Evidence, artifact: str, path: Path, confidence: float) -> Bounds | str:
    """Of new / old; or why there are none."""
    old, new = (_value(evidence, side, artifact, path) for side in ("old", "new"))
    if old is None or new is None or old <= 0 or new <= 0:
        return "a side does not have it, or it is not above 0"
    if nouns.evidence(artifact, path) in ("size", "peak") or _of_one_run(evidence, artifact):
        return Bounds(new / old, new / old, new / old)
    metric = nouns.metric(artifact, path)
    found = ratios.rounds(evidence, artifact, metric.column if metric else None)
    if isinstance(found, str):
        return f"it is {new / old:.4g} times the old, {found}"
    return Bounds(math.exp(found.value), found.bound(1 - confidence), found.bound(confidence))


def _of_one_run(evidence: Evidence, artifact: str) -> bool:
    """Are the metrics of both sides the same file, and so of one run?"""
    old, new = (
        side.tree.read(places.metrics(name))
        for side, name in (evidence.side(s, artifact) for s in ("old", "new"))
    )
    return old is not None and old == new


def of_gap(
    evidence: Evidence, artifact: str, paths: Sequence[Path], confidence: float
) -> Bounds | str:
    """Of the best less the worst of several metrics of one test split of the new revision; or why there are none."""
    alone = evidence.alone("new", artifact, paths[0][0])
    if isinstance(alone, Fault):
        return alone.reason
    parts = [part_of(path[1:]) for path in paths]
    if (
        len({path[0] for path in paths}) > 1
        or len({part.name.partition(".")[0] for part in parts}) > 1
    ):
        return "a gap lies between classes or tables of one test split, by one metric"
    if not all(alone.scale.computes(part.name) for part in parts):
        return "it does not follow from the predictions"
    others = [evidence.disagrees("new", artifact, paths[0][0], part) for part in parts]
    if any(others) or any(part.table not in (None, *alone.side.table) for part in parts):
        return next(
            filter(None, others), "there is a table without an example among the predictions"
        )
    return _gap_reaching(
        _of_estimate(_gap(alone, parts), alone.size(None), confidence), alone, parts
    )


def _gap_reaching(found: Bounds, alone: Alone, parts: Sequence[Slice]) -> Bounds:
    """No nearer than the intervals of any two of the metrics allow. Source: Zou & Donner 2008, Statistics in Medicine 27."""
    values = np.array([alone.plain(part)[0] for part in parts])
    below, above = np.array([_distances(alone, part, found.confidence) for part in parts]).T
    high = float((values[:, None] - values + np.hypot(above[:, None], below)).max())
    best, worst = values.argmax(), values.argmin()
    low = max(0.0, found.value - float(np.hypot(below[best], above[worst])))
    return _widened(found, low, high)


def _distances(alone: Alone, part: Slice, confidence: float) -> tuple[float, float]:
    """How far below and above its value a metric may be: exactly, of answers; else by the bootstrap, if it tells anything."""
    if part.of_answers:
        return alone.reach(part).at(confidence)
    found = of_side(alone, part, confidence)
    return found.value - found.low, found.high - found.value


def _gap(alone: Alone, parts: Sequence[Slice]) -> Estimate:
    found = [alone.value(part) for part in parts]
    values = np.array([each.value for each in found])
    drawn = np.stack([each.replicates for each in found])
    tables = {part.table for part in parts}
    if (
        len(tables) == 1
    ):  # classes of the same examples: without each of them in turn, all values move
        knives = np.stack([each.knife for each in found])
        knife = knives.max(0) - knives.min(0)
    else:  # tables have no example in common: one value moves at a time
        knife = np.concatenate([_without(values, i, each.knife) for i, each in enumerate(found)])
    return Estimate(float(values.max() - values.min()), drawn.max(0) - drawn.min(0), knife)


def _without(values: bootstrap.Floats, place: int, moved: bootstrap.Floats) -> bootstrap.Floats:
    others = np.delete(values, place)
    found: bootstrap.Floats = np.maximum(moved, others.max()) - np.minimum(moved, others.min())
    return found


def needed_for_rate(rate: float, limit: float, confidence: float) -> int | None:
    """About how many examples would decide whether a rate lies below a limit, if it is what was seen."""
    if not 0 < limit < 1 or rate == limit:
        return None

    def decides(examples: int) -> bool:
        low, high = exact.clopper_pearson(rate * examples, examples, confidence)
        return not low <= limit <= high

    return fewest(decides)


def fewest(decides: Callable[[int], bool], most: int = 1) -> int | None:
    """The smallest number for which something holds, if it holds for all that are larger; None if for none up to 10^9.

    most  one for which it does not hold, or 1
    """
    high = most
    while not decides(high):
        high *= 2
        if high > MOST:
            return None
    low = max(high // 2, most - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def better(evidence: Evidence, artifact: str, path: Path) -> Better | None:
    """Which way a metric is better, as its stage declared it: by the name nearest to the end of the path, then the longest."""
    for revision, name in (
        (evidence.new, artifact),
        (evidence.old, evidence.name("old", artifact)),
    ):
        ranks = {}
        for declared, way in revision.better(name).items() if name in revision.artifacts else ():
            steps = tuple(declared.split("."))
            for end in range(len(metric_names.without_label(path)), len(steps) - 1, -1):
                if path[end - len(steps) : end] == steps and way in ("higher", "lower"):
                    ranks[end, len(steps)] = way
        if ranks:
            return "higher" if ranks[max(ranks)] == "higher" else "lower"
    return None


def _value(evidence: Evidence, side: str, artifact: str, path: Path) -> float | None:
    revision, name = evidence.side(side, artifact)
    return number(at(revision.metrics(name), path))
