"""measures: what Prometheus reads of a service. The event loop counts; see `counting`."""

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from lmspec.serving.counting import Count, Spread

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
        self.reloads = Count(
            "lmspec_reloads", "Bundles that were to replace it.", registry, ["result"]
        )
        self._requests = Count("lmspec_requests", "Responses.", registry, ["endpoint", "status"])
        self._seconds = Spread(
            "lmspec_request_seconds",
            "From the arrival of a request's head to its response.",
            registry,
            seconds,
            ["endpoint"],
        )
        self.waited = Spread(
            "lmspec_queue_seconds",
            "From the arrival of a body to the computation of its first text.",
            registry,
            seconds,
        )
        self.texts = Count("lmspec_texts", "Texts: answered, or why not.", registry, ["result"])
        self.shed = Count("lmspec_shed", "Requests refused for lack of room.", registry, ["of"])
        depth = Gauge("lmspec_queue_texts", "Texts that wait.", registry=registry)
        depth.set_function(waiting)

    def serves(self, name: str, digest: str) -> None:
        """Note what is served from now on."""
        self._bundle.info({"name": name, "digest": digest})

    def responded(self, path: str, status: int, seconds: float) -> None:
        """Note a response. path: one of a few."""
        self._requests.add(path, int(status))
        self._seconds.add(seconds, path)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        shown: bytes = generate_latest(self.registry)
        return shown


class LabelMeasures(Measures):
    """Those of a service that answers with labels."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        super().__init__(waiting)
        registry = self.registry
        self._tokens = Count("lmspec_tokens", "Tokens of the texts.", registry)
        self._labels = Count("lmspec_answers", "Answers by label.", registry, ["label"])
        self._confidence = Spread(
            "lmspec_confidence", "Probability of the label that is answered.", registry, SHARES
        )

    def tells_apart(self, labels: Sequence[str]) -> None:
        """Each label has a series at once."""
        for label in labels:
            self._labels.begin(label)

    def answered(self, label: str, confidence: float, tokens: int) -> None:
        """A text that has a label."""
        self.texts.add("answered")
        self._tokens.add(by=tokens)
        self._labels.add(label)
        self._confidence.add(confidence)


class WritingMeasures(Measures):
    """Those of a service that writes."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        super().__init__(waiting, (*SECONDS, *LONGER))
        registry = self.registry
        self._read = Count("lmspec_prompt_tokens", "Tokens of the prompts.", registry)
        self._written = Count("lmspec_generated_tokens", "Of the texts.", registry)
        self._ends = Count("lmspec_ends", "Texts, by why they end.", registry, ["by"])
        self.first_token = Spread(
            "lmspec_first_token_seconds",
            "From the arrival of a body to the first token of a text.",
            registry,
            (*SECONDS, *LONGER),
        )
        self.rate = Spread(
            "lmspec_tokens_per_second", "Of one text, after its first token.", registry, RATES
        )

    def writes(self, read: int, written: int, end: str) -> None:
        """A text that has ended.

        read, written  tokens of its prompt, and its own
        """
        self._read.add(by=read)
        self._written.add(by=written)
        self._ends.add(end)
