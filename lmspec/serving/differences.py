"""differences: how often a shadow answers as the bundle that is served, and where it does not."""

from collections import Counter

from prometheus_client import CollectorRegistry, Info
from prometheus_client import Counter as Series

from lmspec.serving.apart import Shadowed
from lmspec.serving.releases import Log
from lmspec.serving.sent import Sent

MOST_PAIRS = 100  # of labels, of which each has a number; what more there are have one together
OTHER = "other"
SAME, DIFFERS, DROPPED, FAILED = "same", "differs", "dropped", "failed"
OTHER_LABELS = "other_labels"  # of the service, since it was reloaded
RESULTS = (SAME, DIFFERS, DROPPED, FAILED, OTHER_LABELS)


class Differences:
    """Counts, in the measures of the service and for its end, and a line of the log for each.

    texts   shall the log have the texts?
    counts  by result
    pairs   (label, that of the shadow) -> texts
    """

    def __init__(self, registry: CollectorRegistry, log: Log, texts: bool) -> None:
        self._log, self._texts = log, texts
        self.counts: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self._about = Info("lmspec_shadow", "The bundle that answers, too.", registry=registry)
        self._results = Series(
            "lmspec_shadow_texts",
            "Answered texts: what the shadow answers to them, or why it does not.",
            ["result"],
            registry=registry,
        )
        self._pairs = Series(
            "lmspec_shadow_differences",
            "Texts to which the shadow gives another label.",
            ["label", "shadow"],
            registry=registry,
        )
        for result in RESULTS:
            self._results.labels(result)

    def by(self, name: str, digest: str) -> None:
        """Note the bundle that answers from now on."""
        self.digest = digest
        self._about.info({"name": name, "digest": digest})
        self._log("shadow ready", bundle=name, digest=digest)

    def note(self, sent: Sent, result: str, shadowed: Shadowed | None) -> None:
        """One text."""
        self.counts[result] += 1
        self._results.labels(result).inc()
        if result != DIFFERS or shadowed is None:
            return
        pair = sent.label, shadowed.label or ""
        if pair not in self.pairs and len(self.pairs) >= MOST_PAIRS:
            pair = OTHER, OTHER
        self.pairs[pair] += 1
        self._pairs.labels(*pair).inc()
        self._log(
            "differs",
            id=sent.request,
            number=sent.number,
            label=sent.label,
            confidence=sent.confidence,
            shadow=shadowed.label,
            shadow_confidence=shadowed.confidence,
            **({"text": sent.text} if self._texts else {}),
        )

    def end(self) -> None:
        """A line of the log with all of them."""
        pairs = [
            {"label": label, "shadow": shadow, "texts": texts}
            for (label, shadow), texts in self.pairs.most_common()
        ]
        counts = {result: self.counts[result] for result in RESULTS}
        self._log("shadow", digest=self.digest, **counts, pairs=pairs)
