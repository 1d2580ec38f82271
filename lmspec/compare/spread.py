"""spread: why nothing tells how far a number would be another one, were it measured again."""

from lmspec.language.metric_names import EXACT

MEASURED = "speed"  # the noun whose numbers no second build gives again
UNKNOWN = "git keeps nothing from which its spread could be told"
OF_ROUNDS = {
    "latency_p50": "of.latency_ms.p50",
    "latency_p95": "of.latency_ms.p95",
    "throughput": "of.texts_per_second",
}


def measured_anew(metric: str) -> bool:
    """Does each measurement give another number? Sizes of files stay."""
    noun, *_, last = metric.split(".")
    return noun == MEASURED and last not in (*EXACT, "weights")


def unknown(artifact: str, path: tuple[str, ...]) -> str:
    """In words. Of what was measured in rounds git has the rounds, and another metric is compared by them."""
    if not artifact.startswith(f"{MEASURED}."):
        return UNKNOWN
    if path[-1] in ("peak_memory", "peak_memory_bytes"):
        return "it was measured once on each side"
    if path == ("ratio", "weights"):
        return "it is a quotient of two sizes; `of.weights_bytes` is exact"
    if path[0] == "ratio" and len(path) > 1 and path[1] in OF_ROUNDS:
        return (
            f"it sums up the rounds of one run; `{OF_ROUNDS[path[1]]}` is compared by these rounds"
        )
    if path[0] == "against":
        return f"it is of the model that was measured in turn; `{'.'.join(('of', *path[1:]))}` is compared with that taken out"
    return UNKNOWN
