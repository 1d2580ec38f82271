"""`python -m lmspec.tracking FOLDER STARTER BYTES TRACKER...`: give a run's curve to trackers.

The supervisor of a stage starts it, outside of the sandbox. It follows the run's file until its
end, and ends with it. A tracker that fails leaves one line in the run's `trackers.log`, and gets no
more.

FOLDER   of the run
STARTER  process that started the stage, whose environment has the trackers' settings
BYTES    of the run's file that are known to the trackers already
"""

import contextlib
import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from lmspec.methods import curves
from lmspec.run import lifetime
from lmspec.run.recorder import LINES, WARNINGS
from lmspec.tracking.tracker import KILLED, Run, Tracker

POLL_SECONDS = 0.5
NICE = 10  # a training has the processors first
CLOSE_SECONDS = 60.0  # for a server that does not answer


def main(arguments: list[str]) -> None:
    """Follow the run. Returns when it is over and the trackers know."""
    folder, starter, known, *names = arguments
    supervisor = os.getppid()
    os.nice(NICE)
    take_environment(int(starter))
    lifetime.adopt_orphans()
    run = Run.of(Path(folder))
    trackers = Trackers(run, names)
    status = KILLED
    for row in followed(run.folder / LINES, int(known), supervisor):
        if row["event"] == curves.END:
            status = str(row.get("status", status))
            break
        trackers.take(row)
    deadline = threading.Timer(CLOSE_SECONDS, os._exit, (1,))
    deadline.daemon = True
    deadline.start()
    trackers.close(status)
    lifetime.end_children()


def take_environment(process: int) -> None:
    """The variables of another process; a stage has none of its caller's."""
    with contextlib.suppress(psutil.Error, OSError):
        variables = psutil.Process(process).environ()
        os.environ.clear()
        os.environ.update(variables)


def followed(path: Path, known: int, supervisor: int) -> Iterator[curves.Row]:
    """Lines of a file as they are added, until the supervisor is gone."""
    with path.open("rb") as stream:
        rest = b""
        while True:
            over = os.getppid() != supervisor  # before reading: what it wrote last counts
            if stream.tell() == 0:
                stream.seek(known)
            *lines, rest = (rest + stream.read()).split(b"\n")
            yield from (row for row in map(curves.parsed, lines) if row is not None)
            if over:
                return
            time.sleep(POLL_SECONDS)


class Trackers:
    """Those that work. names: modules of this room."""

    def __init__(self, run: Run, names: list[str]) -> None:
        self.run = run
        self.open: dict[str, Tracker] = {}
        for name in names:
            with self._guarded(name):
                self.open[name] = importlib.import_module(f"lmspec.tracking.{name}").Tracker(run)

    def take(self, row: curves.Row) -> None:
        """Pass a line on."""
        for name, tracker in list(self.open.items()):
            with self._guarded(name):
                tracker.take(row)

    def close(self, status: str) -> None:
        """Say how the run ended."""
        for name, tracker in list(self.open.items()):
            with self._guarded(name):
                tracker.close(status)

    @contextlib.contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.open.pop(name, None)
            why = " ".join(str(error).split())[:300] or type(error).__name__
            with (self.run.folder / WARNINGS).open("a", encoding="utf-8") as log:
                log.write(f"{name} gets nothing more: {why}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
