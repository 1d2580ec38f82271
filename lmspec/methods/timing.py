"""timing: two ways to do the same, timed in turn, so that a drift of the machine's speed falls on both alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Timed:
    """seconds (rounds, n) of each call of one contestant."""

    seconds: NDArray[np.float64]

    def milliseconds(self, quantile: float) -> float:
        """Quantile of all calls."""
        return float(np.quantile(self.seconds, quantile) * 1e3)


def in_turn(
    one: Callable[[int], object], other: Callable[[int], object], calls: int, rounds: int
) -> tuple[Timed, Timed]:
    """Each round runs calls 0..calls-1 of one, then of the other; odd rounds the other way round. One round warms up."""
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
    """One row a round: median and 95th percentile of the latency, and the throughput, of the one and of the other.

    latency  of single calls
    batched  of the batches that hold `texts` texts together
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
    """How many times as long the other takes: median over the rounds, and the 5th and 95th percentile of the rounds."""
    per_round = np.quantile(other.seconds, quantile, axis=1) / np.quantile(
        one.seconds, quantile, axis=1
    )
    low, middle, high = np.quantile(per_round, (0.05, 0.5, 0.95))
    return {"median": float(middle), "p5": float(low), "p95": float(high)}
