"""untested: why git cannot tell how much a metric would vary if it were measured again."""

from lmspec.language import nouns
from lmspec.specs.names import ArtifactName, MetricName, MetricPath
from lmspec.specs.results import Metric

UNKNOWN = "git keeps nothing from which its spread could be estimated"
OF_SEEDS = "of several trainings; `dev` shows their spread"


def is_measured(artifact: str) -> bool:
    """Whether its numbers are timed, so that no rebuild repeats them."""
    return nouns.of(ArtifactName.parse(artifact).noun).measured


def varies(metric: str) -> bool:
    """Whether another measurement gives another number; the sizes of files stay the same."""
    artifact, path = MetricName.parse(metric)
    _, related = _declared(str(artifact), path)
    return is_measured(str(artifact)) and not (related and related.evidence == "size")


def _declared(artifact: str, path: MetricPath) -> tuple[Metric | None, Metric | None]:
    """(the metric, the one that is compared in its place: itself if none is)."""
    metric = nouns.metric(artifact, path)
    see = metric.see if metric else None
    return metric, nouns.metric(artifact, tuple(see.split("."))) if see else metric


def reason(artifact: str, path: MetricPath) -> str:
    """Why its spread is unknown, and the metric to look at instead, if there is one."""
    if path[0] in ("seeds", "over_seeds"):
        return OF_SEEDS
    metric, related = _declared(artifact, path)
    if related and related.evidence == "peak":
        return "it was measured once in each commit"
    if metric is None or related is None or metric.see is None:
        return UNKNOWN
    if path[0] == "against":
        return (
            "it is of the model that was timed in turn;"
            f" `{metric.see}` is compared with that taken out"
        )
    if related.evidence == "size":
        return f"it is a quotient of two sizes; `{metric.see}` is exact"
    return f"it summarizes the rounds of one run; `{metric.see}` is compared by these rounds"
