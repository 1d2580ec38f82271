"""workers: a function over many parts, on all processors; results are in the order of the parts.

A result depends on its part alone, so the number of processors decides nothing but the time.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from lmspec.errors import LmspecError

Part = TypeVar("Part")
Result = TypeVar("Result")

# Below this, starting Python again costs more than a second processor saves (about half a second).
WORTH_CHARS = 8_000_000


def over(function: Callable[[Part], Result], parts: Iterable[Part], chars: int) -> Iterator[Result]:
    """function(part) for each part, in order. chars: characters of all texts together.

    function  at the top of a module, as it and the parts go from process to process
    """
    processes = processors() if chars >= WORTH_CHARS else 1
    if processes == 1:
        yield from map(function, parts)
        return
    # Forked, since in its sandbox a spawned Python could not find an editable lmspec. A worker is
    # safe from the locks of polars' threads, as it never calls polars.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    under_way: deque[Future[Result]] = deque()
    try:
        with ProcessPoolExecutor(processes, context) as pool:
            for part in parts:
                under_way.append(pool.submit(function, part))
                if len(under_way) > 2 * processes:  # what waits takes memory
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
    except BrokenProcessPool:
        found = "one of its processes ended before its work was done (out of memory?)"
        raise LmspecError("stage", found, "run `dvc repro` again") from None


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
