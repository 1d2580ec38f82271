"""lifetime: no process outlives the one that started it."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
WATCH_SECONDS = 0.5
POLL_SECONDS = 0.01
# for helpers that end by themselves once the build has, such as multiprocessing's resource tracker
GRACE_SECONDS = 3.0
PATIENCE_SECONDS = 20.0  # from SIGTERM to SIGKILL: a checkpoint of a gigabyte on a slow disk
ORPHANED = 113  # exit code of a process of the build that `watch_parent` ended
SHOWN = 100  # characters of a command line


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
        os._exit(ORPHANED)

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


def end(child: int, ask_seconds: float, spared: int | None = None) -> None:
    """Wait for a child, ask it to end, kill it in the end, then kill all that it has left behind.

    ask_seconds  until SIGTERM, on which a training writes a checkpoint
    spared       a session whose processes live on
    """
    begin, asked = time.monotonic(), False
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            waited = time.monotonic() - begin
            if waited >= ask_seconds and not asked:
                os.kill(child, signal.SIGTERM)
                asked = True
            elif waited > ask_seconds + PATIENCE_SECONDS:
                os.kill(child, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    end_children(spared)


def end_children(spared: int | None = None) -> None:
    """Kill all children of this process. spared: a session whose processes live on."""
    while orphans := _children(spared):
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)


def kill(children: Sequence[int]) -> None:
    """At once. What has been waited for is no child any more, and its number may be another's."""
    for each in children:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(each, os.WNOHANG) == (0, 0):
                os.kill(each, signal.SIGKILL)
                os.waitpid(each, 0)


def left_running(spared: int | None = None) -> list[str]:
    """Command lines of what a build that has ended left running, which could write on into its
    output.

    Waits for those that end by themselves; the others are left to `end`. Linux only, as
    `adopt_orphans`: what a build starts becomes a child of this process. spared: a session of which
    nothing is of the build.
    """
    until = time.monotonic() + GRACE_SECONDS
    names: dict[int, str] = {}
    stopped = []  # by `watch_parent`
    while children := _children(spared):
        names = {
            child: _command(child) or names.get(child, f"process {child}") for child in children
        }
        running = []
        for child in children:
            with contextlib.suppress(ChildProcessError):
                ended, status = os.waitpid(child, os.WNOHANG)
                if not ended:
                    running.append(names[child])
                elif os.waitstatus_to_exitcode(status) == ORPHANED:
                    stopped.append(names[child])
        if time.monotonic() > until:
            return [*stopped, *running]
        time.sleep(POLL_SECONDS if running else 0)
    return stopped


def _children(spared: int | None) -> list[int]:
    """Those of this process, without those of a session."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    found = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    return [pid for pid in found if spared is None or _session(pid) != spared]


def _session(process: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(process)
    return None


def _command(process: int) -> str:
    """Its command line, shortened; empty if it has ended."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
        text = "".join(c if c.isprintable() else " " for c in words).strip()
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return ""
