"""counting: numbers that Prometheus reads, and the event loop alone writes: without locks.

Counting a request with those of prometheus_client, which any thread may write, takes as long as its
JSON.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

INFINITE = float("inf")


class Count:
    """A number for each combination of labels; without any, one number.

    name  without `_total`, which it is shown with
    """

    def __init__(
        self, name: str, shown: str, registry: CollectorRegistry, labels: Sequence[str] = ()
    ) -> None:
        self._name, self._shown, self._labels = name, shown, labels
        self._numbers: dict[tuple[Any, ...], float] = {} if labels else {(): 0}
        registry.register(self)

    def add(self, *labels: Any, by: float = 1) -> None:
        """Count: of these labels, in their order."""
        self._numbers[labels] = self._numbers.get(labels, 0) + by

    def begin(self, *labels: Any) -> None:
        """Show 0 until something is counted."""
        self._numbers.setdefault(labels, 0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As a registry of prometheus_client asks."""
        family = CounterMetricFamily(self._name, self._shown, labels=self._labels)
        for labels, number in [*self._numbers.items()]:
            family.add_metric([str(label) for label in labels], number)
        yield family


class Spread:
    """How values are spread over buckets, for each combination of labels: a histogram.

    bounds  upper ends of the buckets, ascending; one more has no end
    """

    def __init__(
        self,
        name: str,
        shown: str,
        registry: CollectorRegistry,
        bounds: Sequence[float],
        labels: Sequence[str] = (),
    ) -> None:
        self._name, self._shown, self._labels, self._bounds = name, shown, labels, bounds
        self._numbers: dict[tuple[Any, ...], tuple[list[int], list[float]]] = {}
        if not labels:
            self._begin(())
        registry.register(self)

    def add(self, value: float, *labels: Any) -> None:
        """Count a value: of these labels, in their order."""
        each, total = self._numbers.get(labels) or self._begin(labels)
        each[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As a registry of prometheus_client asks."""
        family = HistogramMetricFamily(self._name, self._shown, labels=self._labels)
        for labels, (each, total) in [*self._numbers.items()]:
            buckets, below = [], 0
            for bound, number in zip((*self._bounds, INFINITE), each, strict=True):
                below += number
                buckets.append((floatToGoString(bound), below))
            family.add_metric([str(label) for label in labels], buckets, total[0])
        yield family

    def _begin(self, labels: tuple[Any, ...]) -> tuple[list[int], list[float]]:
        return self._numbers.setdefault(labels, ([0] * (len(self._bounds) + 1), [0.0]))
