"""peakmemory: peak memory of a function, in a process of its own."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path


def peak_bytes(work: Callable[[], object]) -> int:
    """Peak resident size, in bytes, of a new interpreter that runs `work` (picklable).

    Raises RuntimeError if the process dies.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(work, theirs))
    child.start()
    theirs.close()
    try:
        size: int = ours.recv()
    except EOFError:
        raise RuntimeError("the process that measures memory died") from None
    finally:
        child.join()
    return size


def _measure(work: Callable[[], object], pipe: Connection) -> None:
    work()
    pipe.send(_own_peak())


def _own_peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts the parent's size at the fork
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
