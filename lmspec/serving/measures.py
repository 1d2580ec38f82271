"""measures: what Prometheus reads of a service."""

import functools
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
LONGER = (30.0, 60.0, 120.0, 300.0, 600.0)  # seconds of requests to write
RATES = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)
SHARES = tuple(step / 20 for step in range(1, 21))


class Measures:
    """The metrics of a service of any kind, in a registry of its own.

    waiting  how many texts wait now
    seconds  bounds of the histograms of time
    """

    def __init__(self, waiting: Callable[[], float], seconds: Sequence[float] = SECONDS) -> None:
        disable_created_metrics()  # one series more for each
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._bundle = Info("lmspec_bundle", "The bundle that is served.", registry=registry)
        self.reloads = Counter(
            "lmspec_reloads", "Bundles that were to replace it.", ["result"], registry=registry
        )
        self.requests = Counter(
            "lmspec_requests", "Responses.", ["endpoint", "status"], registry=registry
        )
        self.seconds = Histogram(
            "lmspec_request_seconds",
            "From the arrival of a request's head to its response.",
            ["endpoint"],
            buckets=seconds,
            registry=registry,
        )
        self.waited = Histogram(
            "lmspec_queue_seconds",
            "From the arrival of a body to the computation of its first text.",
            buckets=seconds,
            registry=registry,
        )
        self.texts = Counter(
            "lmspec_texts", "Texts: answered, or why not.", ["result"], registry=registry
        )
        self.shed = Counter(
            "lmspec_shed", "Requests refused for lack of room.", ["of"], registry=registry
        )
        # looking a series up by its labels takes longer than adding to it
        self._request = functools.cache(self.requests.labels)
        self._took = functools.cache(self.seconds.labels)
        self.text_of = functools.cache(self.texts.labels)
        depth = Gauge("lmspec_queue_texts", "Texts that wait.", registry=registry)
        depth.set_function(waiting)

    def serves(self, name: str, digest: str) -> None:
        """Note what is served from now on."""
        self._bundle.info({"name": name, "digest": digest})

    def responded(self, path: str, status: int, seconds: float) -> None:
        """Note a response. path: one of a few."""
        self._request(path, status).inc()
        self._took(path).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        shown: bytes = generate_latest(self.registry)
        return shown


class LabelMeasures(Measures):
    """Those of a service that answers with labels."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        super().__init__(waiting)
        registry = self.registry
        self.tokens = Counter("lmspec_tokens", "Tokens of the texts.", registry=registry)
        self.labels = Counter("lmspec_answers", "Answers by label.", ["label"], registry=registry)
        self.confidence = Histogram(
            "lmspec_confidence",
            "Probability of the label that is answered.",
            buckets=SHARES,
            registry=registry,
        )
        self.answer_of = functools.cache(self.labels.labels)

    def tells_apart(self, labels: Sequence[str]) -> None:
        """Each label has a series at once."""
        for label in labels:
            self.labels.labels(label)


class WritingMeasures(Measures):
    """Those of a service that writes."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        super().__init__(waiting, (*SECONDS, *LONGER))
        registry = self.registry
        self._read = Counter("lmspec_prompt_tokens", "Tokens of the prompts.", registry=registry)
        self._written = Counter("lmspec_generated_tokens", "Of the texts.", registry=registry)
        self._ends = Counter("lmspec_ends", "Texts, by why they end.", ["by"], registry=registry)
        self.first_token = Histogram(
            "lmspec_first_token_seconds",
            "From the arrival of a body to the first token of a text.",
            buckets=(*SECONDS, *LONGER),
            registry=registry,
        )
        self.rate = Histogram(
            "lmspec_tokens_per_second",
            "Of one text, after its first token.",
            buckets=RATES,
            registry=registry,
        )

    def writes(self, read: int, written: int, end: str) -> None:
        """A text that has ended.

        read, written  tokens of its prompt, and its own
        """
        self._read.inc(read)
        self._written.inc(written)
        self._ends.labels(end).inc()
