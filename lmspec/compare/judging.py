"""judging: metrics that were tested alone -> verdicts: p corrected over the family, and what a `~` could have shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmspec.compare.report import Metric, Verdict
from lmspec.statistics import bootstrap, exact
from lmspec.statistics.bootstrap import Estimate

LEVEL = 0.05
CONFIDENCE = 0.95


@dataclass
class Row:
    """A metric, with what its verdict will be made of once all are known."""

    metric: Metric
    estimate: Estimate | None = None


def judged(rows: Sequence[Row]) -> list[Metric]:
    """With verdicts: p corrected within each family, and what a `~` could have shown."""
    found = [row.metric for row in rows]
    for family in ("test sets", "slices"):
        places = [i for i, metric in enumerate(found) if metric.family == family]
        corrected, factors = exact.holm([found[i].p or 0.0 for i in places])
        for i, p_holm, factor in zip(places, corrected, factors, strict=True):
            found[i] = _with_verdict(found[i], rows[i].estimate, p_holm, LEVEL / factor)
    return found


def _with_verdict(metric: Metric, estimate: Estimate | None, p_holm: float, level: float) -> Metric:
    verdict: Verdict = "~"
    if p_holm <= LEVEL and metric.difference:
        up = (metric.difference > 0) == (metric.better == "higher")
        verdict = "changed" if metric.better is None else "better" if up else "worse"
    least = None
    if verdict == "~" and metric.examples:
        error = _error(metric, estimate)
        fewest = (
            exact.fewest_discordant(level) / metric.examples
            if metric.method and "exact" in metric.method
            else 0.0
        )
        least = max(fewest, bootstrap.smallest(error, level) if error else 0.0) or None
    why = None
    if least is None and verdict == "~" and estimate is not None and estimate.value:
        why = "too few examples to tell any spread"
    elif least is not None and least > 1 and metric.better == "higher":
        least, why = (
            None,
            f"{metric.examples} example{'s' * (metric.examples != 1)} could show no difference at all",
        )
    reason = "; ".join(filter(None, (metric.reason, why))) or None
    return replace(metric, verdict=verdict, p_holm=p_holm, smallest=least, reason=reason)


def _error(metric: Metric, estimate: Estimate | None) -> float:
    if estimate is not None:
        return estimate.error
    width = metric.interval[1] - metric.interval[0] if metric.interval else 0.0
    return width / (2 * exact.NORMAL.inv_cdf((1 + CONFIDENCE) / 2))
