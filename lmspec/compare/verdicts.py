"""verdicts: p corrected over each family of metrics -> verdicts, with the detectable difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from lmspec.compare.report import Better, Family, Metric, Verdict
from lmspec.statistics import bootstrap, exact
from lmspec.statistics.bootstrap import Estimate

LEVEL = 0.05
SIZE_TOLERANCE = 0.001  # of the baseline: names and versions in a file move its size by less
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """A metric, and the estimate that its verdict needs once all p are known.

    most  the largest difference that the metric can have
    """

    metric: Metric
    estimate: Estimate | None = None
    most: float = 1.0


def judged(rows: Sequence[Row]) -> list[Metric]:
    """The metrics with p corrected within each family, and the verdicts that follow."""
    metrics = [row.metric for row in rows]
    for family in get_args(Family):
        places = [i for i, metric in enumerate(metrics) if metric.family == family]
        levels = [metrics[i].p or 0.0 for i in places]
        corrected, factors = exact.holm(levels)
        for n, i in enumerate(places):
            metric, estimate = metrics[i], rows[i].estimate
            few = _too_few(metric, estimate, [*levels[:n], *levels[n + 1 :]])
            level = LEVEL / factors[n]
            metrics[i] = _judged(metric, estimate, corrected[n], level, few, rows[i].most)
    return metrics


def _judged(
    metric: Metric,
    estimate: Estimate | None,
    p_holm: float,
    level: float,
    few: str | None,
    most: float,
) -> Metric:
    if p_holm <= LEVEL and metric.difference:
        verdict = towards(metric.difference, metric.better) if metric.better else "changed"
        return replace(metric, verdict=verdict, p_holm=p_holm)
    mde, reason = None, few
    if few is None:
        mde = _detectable(metric, estimate, level)
        if mde is None and estimate is not None and estimate.value:
            reason = "too few examples to estimate the spread"
        elif mde is not None and mde > most and metric.better == "higher":
            mde, reason = None, _no_effect(metric.examples or 0, "example")
    reason = "; ".join(filter(None, (metric.reason, reason))) or None
    return replace(metric, verdict="inconclusive", p_holm=p_holm, mde=mde, reason=reason)


def _too_few(metric: Metric, estimate: Estimate | None, others: Sequence[float]) -> str | None:
    """Why no difference could be shown: even the smallest p of so few units is too large.

    others  p of the other metrics of the family
    """
    count, unit = metric.examples or 0, "example"
    if estimate is None:  # of two unpaired shares
        least = exact.fisher(0, count, count, count) if count else 0.0
    else:
        count, least = estimate.worth, 2.0 ** (1 - estimate.worth)
        unit = "group" if "groups" in (metric.method or "") else unit
    if least * (len(others) + 1) <= LEVEL:
        return None
    corrected, _ = exact.holm([*others, least])
    return _no_effect(count, unit) if corrected[-1] > LEVEL else None


def _no_effect(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'s' * (count != 1)}: no effect can be shown"


def of_sizes(difference: float, baseline: float, better: Better | None) -> Verdict:
    """The verdict on an exact number of bytes: a few more or less of them are the same size."""
    if abs(difference) <= SIZE_TOLERANCE * abs(baseline):
        return "same"
    return towards(difference, better)


def towards(difference: float, better: Better | None) -> Verdict:
    """The verdict on a significant difference, by the direction of progress."""
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _detectable(metric: Metric, estimate: Estimate | None, level: float) -> float | None:
    """The minimum detectable effect; None if unknown."""
    if not metric.examples:
        return None
    units = metric.examples
    if estimate is not None:
        error, units = estimate.error, estimate.units
    else:  # of two unpaired shares: by the width of their interval
        low, high = metric.interval or (0.0, 0.0)
        error = (high - low) / (2 * exact.NORMAL.inv_cdf((1 + CONFIDENCE) / 2))
    # a metric of answers needs some discordant pairs, even if all point one way
    discordant = exact.fewest_discordant(level) if metric.better == "higher" else 0
    fewest = discordant / metric.examples
    return max(fewest, bootstrap.detectable(error, level, units) if error else 0.0) or None
