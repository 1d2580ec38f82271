"""scheduler: stages side by side, each a `dvc repro --single-item` that starts when what it is made from is there.

DVC does the work and keeps the books: its processes take the repository's lock in turn, and let go of it while a stage runs.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import psutil  # type: ignore[import-untyped]

from lmspec.formats import lockfile

BUILT, RESTORED, SAME, FAILED, STOPPED = "built", "restored", "up to date", "failed", "stopped"
DVC = ("-m", "dvc", "--wait-for-lock", "repro", "--single-item")
# DVC's own words, which say nothing that an event does not
CHATTER = re.compile(
    r"(Updating|Generating) lock file |To track the changes with git, run:|\tgit add |To enable auto staging, run:"
    r"|\tdvc config core\.autostage |Use `dvc push` to send |Data and pipelines are up to date\.$|\s*$"
)
FAILURE = re.compile(r"ERROR: failed to reproduce .* exited with -?\d+$")
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 5  # from the interrupt of a stage to its end by force
KEPT_LINES = 200  # of what a stage said, to find its error in
LAST_LINES = 10  # the error, where none can be made out
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Rules:
    """When a stage may start.

    before      stage -> the stages that it is made from; of those that are ready the first one starts first
    jobs        how many may run at once
    alone       stages that measure: nothing runs beside them, and they wait until nothing else can run
    keep_going  after a failure, go on with what does not depend on it; if not, start nothing more
    """

    before: Mapping[str, Collection[str]]
    jobs: int = 1
    alone: Collection[str] = ()
    keep_going: bool = False

    def ready(self, running: Collection[str], ended: Mapping[str, bool]) -> list[str]:
        """The stages to start now. ended: stage -> did it end well?"""
        if not self.keep_going and not all(ended.values()):
            return []
        waiting = [stage for stage in self.before if stage not in ended and stage not in running]
        free = [
            stage
            for stage in waiting
            if all(ended.get(needed, False) for needed in self.before[stage])
        ]
        # while one that measures runs, none of these can be: it started when there was none, and nothing has ended since
        sociable = [stage for stage in free if stage not in self.alone]
        return sociable[: self.jobs - len(running)] if sociable or running else free[:1]


def affected(
    before: Mapping[str, Collection[str]], changed: Collection[str]
) -> dict[str, list[str]]:
    """The part of a graph that may have to be built: what changed, and what is made from it.

    before  each stage after those that it is made from
    """
    found: dict[str, list[str]] = {}
    for stage, needed in before.items():
        inside = [name for name in needed if name in found]
        if inside or stage in changed:
            found[stage] = inside
    return found


def longest_first(
    before: Mapping[str, Collection[str]], seconds: Mapping[str, float]
) -> dict[str, Collection[str]]:
    """The same graph, and first in it the stages that the longest line of work waits for.

    before   each stage after those that it is made from
    seconds  how long a stage will take; one that was never timed counts a second
    """
    line: dict[str, float] = {}
    for stage, needed in reversed(list(before.items())):
        line[stage] = seconds.get(stage, 1) + line.get(stage, 0)
        for name in needed:
            line[name] = max(line.get(name, 0), line[stage])
    return {stage: before[stage] for stage in sorted(before, key=lambda stage: -line[stage])}


@dataclass(frozen=True)
class Begun:
    """A stage runs: it was neither up to date nor in the cache."""

    stage: str


@dataclass(frozen=True)
class Said:
    """A line that a stage wrote, to standard output or error."""

    stage: str
    line: str


@dataclass(frozen=True)
class Stopping:
    """A signal came: these stages are under way, and will be stopped."""

    stages: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """outcome: BUILT, RESTORED (from DVC's cache), SAME, FAILED or STOPPED; error: the lines that tell of a failure."""

    stage: str
    outcome: str
    seconds: float
    error: tuple[str, ...] = ()


class Stop:
    """The wish to stop. number: of the first signal, 0 if none came; at_once: another one followed."""

    def __init__(self) -> None:
        self.number, self.since, self.at_once = 0, 0.0, False

    def listen(self) -> None:
        """Take Ctrl-C, `kill` and the end of the terminal as the wish to stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (
                number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
            ):  # that is what nohup is for
                signal.signal(number, self.wish)

    def wish(self, number: int, frame: FrameType | None = None) -> None:
        """A signal's handler."""
        self.at_once = bool(self.number)
        if not self.number:
            self.number, self.since = number, time.monotonic()


def build(
    root: Path, rules: Rules, stop: Stop
) -> Generator[Begun | Said | Stopping | Ended, None, None]:
    """Bring each stage of the rules' graph up to date; what happens, as it happens. At the end no process is left.

    It ends early after a failure, as the rules say, and on the wish to stop. Whoever leaves it early stops it.
    """
    running: dict[str, Repro] = {}
    ended: dict[str, bool] = {}
    told = False
    try:
        while True:
            if not stop.number:
                for stage in rules.ready(running, ended):
                    running[stage] = Repro(root, stage)
            elif running and not told:
                told = True
                yield Stopping(tuple(running))
            if not running:
                return
            time.sleep(POLL_SECONDS)
            for stage, repro in list(running.items()):
                yield from repro.news(stop)
                if repro.ended:
                    ended[stage] = repro.ended.outcome not in (FAILED, STOPPED)
                    del running[stage]
                    yield repro.ended
    finally:
        if running and not stop.number:
            stop.wish(signal.SIGTERM)
        while running:
            for stage, repro in list(running.items()):
                list(repro.news(stop))  # a full pipe would hold it
                if repro.ended:
                    del running[stage]
            time.sleep(POLL_SECONDS)


class Repro:
    """One `dvc repro --single-item`, in a process group of its own, so that Ctrl-C reaches it only through `news`.

    ended  how; None as long as it is under way
    """

    def __init__(self, root: Path, stage: str) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # dvc.yaml says `python`
        self.ended: Ended | None = None
        self._stage, self._outcome, self._begun = stage, "", time.monotonic()
        self._rest, self._lines = b"", deque[str](maxlen=KEPT_LINES)
        self._interrupted: set[psutil.Process] = set()
        self._process = subprocess.Popen(
            [sys.executable, *DVC, stage],
            cwd=root,
            env={
                **os.environ,
                "PATH": path,
                "PYTHONUNBUFFERED": "1",
            },  # a pipe makes Python hold lines back
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=die_with_parent,
        )
        self._out = self._process.stdout.fileno() if self._process.stdout else -1
        os.set_blocking(self._out, False)

    def news(self, stop: Stop) -> Iterator[Begun | Said]:
        """What it said since it was last asked. Then interrupts it, if that is the wish."""
        code = self._process.poll()
        yield from self._heard(last=code is not None)
        if code is None and stop.number:
            self._interrupt(stop)
        elif code is not None:
            if stop.number:
                self._sweep()
            self._process.stdout.close() if self._process.stdout else None
            seconds = time.monotonic() - self._begun
            if code == 0:
                self.ended = Ended(self._stage, self._outcome or SAME, seconds)
            elif stop.number:
                self.ended = Ended(self._stage, STOPPED, seconds)
            else:
                self.ended = Ended(self._stage, FAILED, seconds, error(list(self._lines)))

    def _heard(self, last: bool) -> Iterator[Begun | Said]:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._out, 1 << 16):
                self._rest += chunk
        *lines, self._rest = re.split(rb"\r\n|[\r\n]", self._rest + (b"\n" if last else b""))
        for line in (text.decode(errors="replace") for text in lines):
            if not self._outcome and (outcome := self._first_word(line)):
                self._outcome = outcome
                yield from [Begun(self._stage)] if outcome == BUILT else []
            elif not CHATTER.match(line) and not (line.startswith("> ") and not self._lines):
                self._lines.append(line)
                yield Said(self._stage, line)

    def _first_word(self, line: str) -> str | None:
        """What DVC is about to do with the stage. It says so before anything that the stage can say."""
        words = {
            f"Running stage '{self._stage}':": BUILT,
            f"Stage '{self._stage}' is cached - skipping run, checking out outputs": RESTORED,
            f"Stage '{self._stage}' didn't change, skipping": SAME,
        }
        return words.get(line)

    def _interrupt(self, stop: Stop) -> None:
        """Interrupt the stage, and DVC only before it has begun: DVC empties dvc.lock before it writes it anew.

        When its stage is gone DVC ends by itself; if the stage was finished already, DVC records it first.
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
                    ):  # a second one would cut its cleaning up short
                        process.send_signal(signal.SIGINT)
                    elif impatient and process != dvc:
                        process.kill()
                self._interrupted.add(process)

    def _sweep(self) -> None:
        """Wait for the end of what a stage that was stopped has left behind."""
        until = time.monotonic() + 2  # in a container the dead may lie unburied
        with contextlib.suppress(
            ProcessLookupError, PermissionError
        ):  # macOS refuses to signal the dead
            while time.monotonic() < until:
                os.killpg(self._process.pid, signal.SIGKILL)
                time.sleep(0.01)


def error(lines: Sequence[str]) -> tuple[str, ...]:
    """Of what a failed stage said the part that tells why: its error, else the last lines."""
    own = [line for line in lines if not FAILURE.match(line)] or list(lines)
    starts = [
        i
        for i, line in enumerate(own)
        if line.startswith(("lmspec: ", "Traceback (most recent call last)"))
    ]
    return tuple(own[starts[-1] if starts else -LAST_LINES :])


def in_order(text: str, known: Collection[str], order: Sequence[str]) -> str:
    """dvc.lock as one `dvc repro` would have left it: DVC appends new stages as they finish.

    known  the stages that were in it before
    order  that of `dvc repro`
    """
    lock = lockfile.split(text)
    places = {stage: i for i, stage in enumerate(order)} | dict.fromkeys(known, -1)
    stages = sorted(lock.stages.items(), key=lambda item: places.get(item[0], len(places)))
    return replace(lock, stages=dict(stages)).text()


def die_with_parent() -> None:
    """A build that is killed leaves no DVC that goes on; a stage notices that its DVC is gone."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
