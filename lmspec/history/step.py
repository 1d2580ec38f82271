"""step: from one commit to the next, did a metric become better or worse, or is that noise? And between what does it lie?"""

import math
from dataclasses import dataclass

from lmspec.compare import bounds, judging, ratios, spread
from lmspec.compare.evidence import NO_PREDICTIONS, UNSCORED, Evidence
from lmspec.compare.report import Better, Interval, Verdict
from lmspec.compare.revision import Fault, Revision
from lmspec.history.metric_lookup import Name
from lmspec.language import metric_names
from lmspec.statistics.paired import part_of

TWO_SIDED = (1 + judging.CONFIDENCE) / 2  # of either end


@dataclass(frozen=True)
class Step:
    """difference: new - old, on the examples that both have, where it has predictions; p: two-sided, of this metric alone."""

    verdict: Verdict
    difference: float | None = None
    p: float | None = None
    reason: str | None = None


def direction(revision: Revision, name: Name) -> Better | None:
    """Which way the metric is better, as its stage declared it."""
    return bounds.better(_alone(revision, name), name.artifact, name.path)


def interval(revision: Revision, name: Name, value: float) -> Interval | None:
    """Of the metric itself, 95 %: of scores from their predictions; of what is exact the value alone; else None."""
    if metric_names.is_exact(name.path):
        return value, value
    if not name.artifact.startswith("scores.") or len(name.path) < 2:
        return None
    found = bounds.of_value(_alone(revision, name), name.artifact, name.path, TWO_SIDED)
    if isinstance(found, str) or not (math.isfinite(found.low) and math.isfinite(found.high)):
        return None
    return found.low, found.high


def _alone(revision: Revision, name: Name) -> Evidence:
    return Evidence(revision, revision, {name.artifact: name.artifact})


def step(
    old: Revision,
    new: Revision,
    name: Name,
    values: tuple[float, float],
    late: str | None,
    way: Better | None = None,
) -> Step:
    """From one commit to the next that has it.

    values  of the metric on both sides
    late    why those of a side are not what its spec would build
    way     which way it is better, if neither side has that on record
    """
    evidence = Evidence(old, new, {name.artifact: name.artifact})
    plain = values[1] - values[0]
    if late is not None:
        return Step("not comparable", plain, reason=late)
    way = bounds.better(evidence, name.artifact, name.path) or way
    if name.artifact.startswith("scores.") and len(name.path) > 1 and way:
        return _scored(evidence, name, plain, way)
    if plain == 0:
        return Step("same", 0.0)
    if way is None:
        return Step("changed", plain)
    if metric_names.is_exact(name.path):
        return Step(_towards(plain, way), plain)
    return _timed(evidence, name, plain)


def _scored(evidence: Evidence, name: Name, plain: float, way: Better) -> Step:
    """On pairs of predictions, as `lmspec diff` tests it."""
    paired = evidence.scored(name.artifact, name.path)
    if paired == UNSCORED:
        return Step("same" if plain == 0 else "untested", plain)
    if isinstance(paired, Fault):
        return Step(
            "untested" if NO_PREDICTIONS in paired.reason else "not comparable",
            plain,
            reason=paired.reason,
        )
    part = part_of(name.path[1:])
    left_out = paired.left_out(part)
    if plain == 0 and left_out is None and not paired.moved[paired.rows(part.table)].any():
        return Step("same", 0.0)
    estimate = paired.difference(part)
    p, _ = paired.p(part, estimate)
    told = p <= judging.LEVEL and estimate.value != 0
    return Step(_towards(estimate.value, way) if told else "~", estimate.value, p, left_out)


def _timed(evidence: Evidence, name: Name, plain: float) -> Step:
    """What was measured in rounds is judged as a ratio; of the rest git keeps no predictions."""
    if name.path[0] == "of" and ".".join(name.path[1:]) in ratios.COLUMNS:
        found = bounds.of_ratio(evidence, name.artifact, name.path, TWO_SIDED)
        if isinstance(found, str):
            return Step("untested", plain, reason=found)
        way: Better = "higher" if name.path[-1] == "texts_per_second" else "lower"
        return Step("~" if found.low <= 1 <= found.high else _towards(found.value - 1, way), plain)
    return Step("untested", plain, reason=spread.unknown(name.artifact, name.path))


def _towards(difference: float, way: Better) -> Verdict:
    return "better" if (difference > 0) == (way == "higher") else "worse"
