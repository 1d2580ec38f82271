"""verdicts: p corrected over each family of metrics -> verdicts, with the detectable difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmspec.compare.report import Better, Metric, Verdict
from lmspec.statistics import bootstrap, exact
from lmspec.statistics.bootstrap import Estimate

LEVEL = 0.05
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """A metric, and the estimate that its verdict needs once all p are known."""

    metric: Metric
    estimate: Estimate | None = None


def judged(rows: Sequence[Row]) -> list[Metric]:
    """The metrics with p corrected within each family, and the verdicts that follow."""
    metrics = [row.metric for row in rows]
    for family in ("test sets", "slices"):
        places = [i for i, metric in enumerate(metrics) if metric.family == family]
        corrected, factors = exact.holm([metrics[i].p or 0.0 for i in places])
        for i, p_holm, factor in zip(places, corrected, factors, strict=True):
            metrics[i] = _judged(metrics[i], rows[i].estimate, p_holm, LEVEL / factor)
    return metrics


def _judged(metric: Metric, estimate: Estimate | None, p_holm: float, level: float) -> Metric:
    if p_holm <= LEVEL and metric.difference:
        verdict = towards(metric.difference, metric.better) if metric.better else "changed"
        return replace(metric, verdict=verdict, p_holm=p_holm)
    mde, reason = _detectable(metric, estimate, level), None
    if mde is None and estimate is not None and estimate.value:
        reason = "too few examples to estimate the spread"
    elif mde is not None and mde > 1 and metric.better == "higher":
        examples = f"{metric.examples} example{'s' * (metric.examples != 1)}"
        mde, reason = None, f"{examples} cannot show any difference"
    reason = "; ".join(filter(None, (metric.reason, reason))) or None
    return replace(metric, verdict="inconclusive", p_holm=p_holm, mde=mde, reason=reason)


def towards(difference: float, better: Better | None) -> Verdict:
    """The verdict on a significant difference, by the direction of progress."""
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _detectable(metric: Metric, estimate: Estimate | None, level: float) -> float | None:
    """The minimum detectable effect; None if unknown."""
    if not metric.examples:
        return None
    if estimate is not None:
        error = estimate.error
    else:  # of two unpaired shares: by the width of their interval
        low, high = metric.interval or (0.0, 0.0)
        error = (high - low) / (2 * exact.NORMAL.inv_cdf((1 + CONFIDENCE) / 2))
    # an exact test needs some discordant pairs, even if all point one way
    discordant = exact.fewest_discordant(level) if "exact" in (metric.method or "") else 0
    fewest = discordant / metric.examples
    return max(fewest, bootstrap.detectable(error, level) if error else 0.0) or None
