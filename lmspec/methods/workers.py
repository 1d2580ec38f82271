"""workers: a function over many parts, on all processors; results are in the order of the parts.

A result depends on its part alone, so the number of processors decides nothing but the time.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

# Below this, starting Python again costs more than a second processor saves (about half a second).
WORTH_CHARS = 8_000_000


def over(function: Callable[[Part], Result], parts: Iterable[Part], chars: int) -> Iterator[Result]:
    """function(part) for each part, in order. chars: characters of all texts together.

    function  at the top of a module; it and the parts are pickled between the build's own processes
    """
    processes = processors() if chars >= WORTH_CHARS else 1
    if processes == 1:
        yield from map(function, parts)
        return
    # not fork: polars and numpy have threads, whose locks a forked process would inherit
    spawn = multiprocessing.get_context("spawn")
    under_way: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(processes, spawn) as pool:
        for part in parts:
            under_way.append(pool.submit(function, part))
            if len(under_way) > 2 * processes:  # what waits takes memory
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slices(lengths: Sequence[int], most: int) -> Iterator[slice]:
    """Consecutive items in slices of about `most` in total; each holds at least one item."""
    begin, total = 0, 0
    for i, length in enumerate(lengths):
        if total and total + length > most:
            yield slice(begin, i)
            begin, total = i, 0
        total += length
    if begin < len(lengths):
        yield slice(begin, len(lengths))
