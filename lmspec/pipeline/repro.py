"""repro: one `dvc repro --single-item` as a process: its events, its interruption, its error."""

import contextlib
import os
import re
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil  # type: ignore[import-untyped]

from lmspec.pipeline import subprocesses
from lmspec.run import lifetime

BUILT, RESTORED, SAME, FAILED, STOPPED = "built", "restored", "up to date", "failed", "stopped"
# lines of DVC's own that add nothing to an event
CHATTER = re.compile(
    r"(Updating|Generating) lock file |To track the changes with git, run:|\tgit add |"
    r"To enable auto staging, run:|\tdvc config core\.autostage |Use `dvc push` to send |"
    r"Data and pipelines are up to date\.$|\s*$"
)
FAILURE = re.compile(r"ERROR: failed to reproduce .* exited with -?\d+$")
POLL_SECONDS = 0.05
PATIENCE_SECONDS = lifetime.PATIENCE_SECONDS + 5  # from interrupting a stage to killing it
SWEEP_SECONDS = 2
KEPT_LINES = 200  # of a stage's output, to look for its error in
LAST_LINES = 10  # shown if no error is recognized


@dataclass(frozen=True)
class Start:
    """A stage runs: it was neither up to date nor in the cache."""

    stage: str


@dataclass(frozen=True)
class Line:
    """A line that a stage wrote to standard output or error."""

    stage: str
    text: str


@dataclass(frozen=True)
class End:
    """outcome: BUILT, RESTORED (from the cache), SAME, FAILED or STOPPED; error: why it failed."""

    stage: str
    outcome: str
    seconds: float
    error: tuple[str, ...] = ()


class StopSignal:
    """A request to stop. number: the first signal, else 0; at_once: a second one followed."""

    def __init__(self) -> None:
        self.number, self.since, self.at_once = 0, 0.0, False

    def listen(self) -> None:
        """Handle Ctrl-C, `kill` and a closed terminal; under nohup the last one stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """A signal handler."""
        self.at_once = bool(self.number)
        if not self.number:
            self.number, self.since = number, time.monotonic()


class Repro:
    """One `dvc repro --single-item`, in its own process group, which Ctrl-C does not reach.

    end  None while it runs
    """

    def __init__(self, root: Path, stage: str) -> None:
        self.end: End | None = None
        self._stage, self._outcome, self._started = stage, "", time.monotonic()
        self._rest, self._lines = b"", deque[str](maxlen=KEPT_LINES)
        self._interrupted: set[psutil.Process] = set()
        self._process = subprocesses.repro(root, "--single-item", stage)
        self._out = self._process.stdout.fileno() if self._process.stdout else -1
        os.set_blocking(self._out, False)

    def poll(self, stop: StopSignal) -> Iterator[Start | Line]:
        """The events since the last call. Interrupts the process if a stop was requested."""
        code = self._process.poll()
        yield from self._events(last=code is not None)
        if code is None and stop.number:
            self._interrupt(stop)
        elif code is not None:
            if stop.number:
                self._sweep()
            if self._process.stdout:
                self._process.stdout.close()
            failed = STOPPED if stop.number else FAILED
            self.end = End(
                self._stage,
                failed if code else self._outcome or SAME,
                time.monotonic() - self._started,
                error(list(self._lines)) if code and not stop.number else (),
            )

    def _events(self, last: bool) -> Iterator[Start | Line]:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._out, 1 << 16):
                self._rest += chunk
        *lines, self._rest = re.split(rb"\r\n|[\r\n]", self._rest + (b"\n" if last else b""))
        # DVC announces what it does with the stage before the stage can write a line
        outcomes = {
            f"Running stage '{self._stage}':": BUILT,
            f"Stage '{self._stage}' is cached - skipping run, checking out outputs": RESTORED,
            f"Stage '{self._stage}' didn't change, skipping": SAME,
        }
        for line in (text.decode(errors="replace") for text in lines):
            if not self._outcome and line in outcomes:
                self._outcome = outcomes[line]
                if self._outcome == BUILT:
                    yield Start(self._stage)
            elif not CHATTER.match(line) and not (line.startswith("> ") and not self._lines):
                self._lines.append(line)
                yield Line(self._stage, line)

    def _interrupt(self, stop: StopSignal) -> None:
        """Interrupt the stage; DVC only if its stage has not begun, as it may be writing dvc.lock.

        DVC ends once its stage is gone; if the stage had finished already, DVC records it first.
        """
        if stop.at_once:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return
        impatient = time.monotonic() - stop.since > PATIENCE_SECONDS
        with contextlib.suppress(psutil.NoSuchProcess):
            dvc = psutil.Process(self._process.pid)
            for process in [*dvc.children(recursive=True), *([] if self._outcome else [dvc])]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if (
                        process not in self._interrupted
                    ):  # a second signal would cut its cleanup short
                        process.send_signal(signal.SIGINT)
                    elif impatient and process != dvc:
                        process.kill()
                self._interrupted.add(process)

    def _sweep(self) -> None:
        """Kill what is left of a stopped stage. Bounded, as a container may not reap zombies."""
        deadline = time.monotonic() + SWEEP_SECONDS
        # macOS answers PermissionError for a group of zombies
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, signal.SIGKILL)
                time.sleep(0.01)


def error(lines: Sequence[str]) -> tuple[str, ...]:
    """The part of a failed stage's output that says why: its error, else the last lines."""
    own = [line for line in lines if not FAILURE.match(line)] or list(lines)
    starts = [
        i
        for i, line in enumerate(own)
        if line.startswith(("lmspec: ", "Traceback (most recent call last)"))
    ]
    return tuple(own[starts[-1] if starts else -LAST_LINES :])


def reason(lines: Sequence[str]) -> str:
    """One line: the first line of an lmspec error, or the last of a traceback."""
    cause = [line.strip() for line in error(lines) if line.strip()]
    if not cause:
        return "it printed nothing"
    return cause[-1] if cause[0].startswith("Traceback") else cause[0].removeprefix("lmspec: ")
