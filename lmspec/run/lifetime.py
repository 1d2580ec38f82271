"""lifetime: no process outlives the one that started it."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
WATCH_SECONDS = 0.5
POLL_SECONDS = 0.01


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel signal this process when its parent ends; exit if it already has.

    Linux only.
    """
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)


def watch_parent() -> None:
    """Exit soon after the parent ends, without the kernel's help.

    For a worker: any thread of the build can have started it, and PR_SET_PDEATHSIG acts when that
    thread ends.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    with contextlib.suppress(RuntimeError):  # an interpreter that shuts down starts no thread
        threading.Thread(target=watch, daemon=True).start()


def tie_forks(lock: int) -> None:
    """End whatever is forked from this process along with it, and release the lock there."""

    def tie() -> None:
        os.close(lock)
        watch_parent()

    os.register_at_fork(after_in_child=tie)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends, so that `end` reaches them.

    Linux only.
    """
    if LIBC:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end(child: int, patience_seconds: float) -> None:
    """Wait for a child, kill it when patience runs out, then kill all that it has left behind."""
    until = time.monotonic() + patience_seconds
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while children.exists() and (orphans := children.read_text().split()):
        for orphan in map(int, orphans):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
