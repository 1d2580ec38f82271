"""timing: two models timed in turn, so that drift of the machine's speed affects both alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Batch, collate


class Contestant:
    """A model with its batches prepared, so that only its own work is timed."""

    def __init__(self, model: Predictor, texts: list[str], batch_size: int) -> None:
        windows = model.reader.read(texts)
        self.model = model

        def batches(of: list[int], size: int) -> list[Batch]:
            ids = [windows.ids[place] for text in of for place in windows.places(text)]
            rows = range(len(ids))
            return [
                collate(ids, rows[i : i + size], model.pad_id) for i in range(0, len(ids), size)
            ]

        self.singles = [batches([text], 1) for text in range(len(texts))]
        tokens = np.bincount(windows.of_text, [len(i) for i in windows.ids])
        order = np.argsort(tokens, kind="stable").tolist()
        self.batches = [
            batches(order[i : i + batch_size], batch_size) for i in range(0, len(texts), batch_size)
        ]

    def single(self, i: int) -> object:
        """Predict text i alone, a window at a time, as a bundle does."""
        return [self._run(batch) for batch in self.singles[i]]

    def batch(self, i: int) -> object:
        """Predict batch i, from short to long texts."""
        return [self._run(batch) for batch in self.batches[i]]

    def _run(self, batch: Batch) -> object:
        return self.model.forward(batch.input_ids, batch.attention_mask)


@dataclass(frozen=True)
class Timed:
    """seconds (rounds, calls) of one contestant."""

    seconds: NDArray[np.float64]

    def milliseconds(self, quantile: float) -> float:
        """Quantile of all calls."""
        return float(np.quantile(self.seconds, quantile) * 1e3)


def in_turn(
    one: Callable[[int], object], other: Callable[[int], object], calls: int, rounds: int
) -> tuple[Timed, Timed]:
    """Time calls 0..calls-1 of the one, then of the other, in every round; odd rounds reverse.

    One round before the first is not timed: it warms caches.
    """
    times = np.zeros((2, rounds, calls))
    for turn in range(-1, rounds):
        order: Sequence[int] = (0, 1) if turn % 2 == 0 else (1, 0)
        for which in order:
            run = (one, other)[which]
            for i in range(calls):
                start = time.perf_counter()
                run(i)
                if turn >= 0:
                    times[which, turn, i] = time.perf_counter() - start
    return Timed(times[0]), Timed(times[1])


def rounds(
    latency: tuple[Timed, Timed], batched: tuple[Timed, Timed], texts: int
) -> list[dict[str, float]]:
    """One row per round: median and 95th percentile of latency, and throughput, of both.

    latency  of single calls
    batched  of batches that hold `texts` texts together
    """
    columns = {}
    for side, single, batch in zip(("of", "against"), latency, batched, strict=True):
        columns[f"{side}_p50_ms"] = np.quantile(single.seconds, 0.5, axis=1) * 1e3
        columns[f"{side}_p95_ms"] = np.quantile(single.seconds, 0.95, axis=1) * 1e3
        columns[f"{side}_texts_per_second"] = texts / batch.seconds.sum(1)
    names = list(columns)
    return [
        {"round": number, **{name: round(float(columns[name][number - 1]), 6) for name in names}}
        for number in range(1, len(latency[0].seconds) + 1)
    ]


def ratio(one: Timed, other: Timed, quantile: float) -> dict[str, float]:
    """Time of the other / time of the one: median, 5th and 95th percentile over rounds."""
    per_round = np.quantile(other.seconds, quantile, axis=1) / np.quantile(
        one.seconds, quantile, axis=1
    )
    low, middle, high = np.quantile(per_round, (0.05, 0.5, 0.95))
    return {"median": float(middle), "p5": float(low), "p95": float(high)}
