"""measures: what Prometheus reads of a service."""

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARES = tuple(step / 20 for step in range(1, 21))


class Measures:
    """The metrics of one service, in a registry of its own.

    labels   that it may answer; each has a series from the beginning
    waiting  how many texts wait now
    """

    def __init__(
        self, bundle: dict[str, str], labels: Sequence[str], waiting: Callable[[], float]
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("lmspec_bundle", "The bundle that is served.", registry=registry).info(bundle)
        self.requests = Counter(
            "lmspec_requests", "Responses.", ["endpoint", "status"], registry=registry
        )
        self.seconds = Histogram(
            "lmspec_request_seconds",
            "From the arrival of a request's head to its response.",
            ["endpoint"],
            buckets=SECONDS,
            registry=registry,
        )
        self.waited = Histogram(
            "lmspec_queue_seconds",
            "From the arrival of a body to the computation of its first text.",
            buckets=SECONDS,
            registry=registry,
        )
        self.texts = Counter(
            "lmspec_texts", "Texts: answered, or why not.", ["result"], registry=registry
        )
        self.tokens = Counter("lmspec_tokens", "Tokens of the texts.", registry=registry)
        self.labels = Counter("lmspec_answers", "Answers by label.", ["label"], registry=registry)
        for label in labels:
            self.labels.labels(label)
        self.confidence = Histogram(
            "lmspec_confidence",
            "Probability of the label that is answered.",
            buckets=SHARES,
            registry=registry,
        )
        self.shed = Counter(
            "lmspec_shed", "Requests refused for lack of room.", ["of"], registry=registry
        )
        depth = Gauge("lmspec_queue_texts", "Texts that wait.", registry=registry)
        depth.set_function(waiting)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
