"""checkpoints: a training that is killed goes on from its last one, and ends with the same bits."""

import errno
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lmspec.methods.resume import Reached, Resume
from lmspec.training import state
from lmspec.training.progress import say
from lmspec.training.state import Stateful
from lmspec.training.stopping import Stop, Stopped

EVERY_SECONDS = 25.0  # with a step and the writing, at most 30 s of work are lost
SHARE = 0.02  # of a training's time that writing may take; a slow disk is written to less often
SPARE = 3  # times its size: a checkpoint leaves room for what the stage makes in the end
FILES = ("state-0.safetensors", "state-1.safetensors")  # written in turn

T = TypeVar("T")
AtOnce = Callable[[Callable[[], Any]], Any]


class Checkpoints:
    """Of one training: written every few seconds and when a signal stops it, read at its start.

    parts  all that a training holds beside what follows from its inputs and the step: what is not
           in here is lost by a kill (tests/test_resume.py finds it)
    Without a place (`resume` is None) nothing is written, and signals act as ever.
    """

    def __init__(
        self, resume: Resume | None, seed: int, steps: int, parts: Mapping[str, Stateful]
    ) -> None:
        self.resume, self.steps, self.parts = resume, steps, parts
        self.folder = resume.folder / f"seed-{seed}" if resume else Path()
        self.stop = Stop()
        self.due = time.monotonic() + EVERY_SECONDS
        self.file = FILES[1]  # of the last one

    def __enter__(self) -> "Checkpoints":
        if self._writes:
            self.stop.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.end()

    def read(self) -> int:
        """Give each part its last state; returns the step to go on from, 0 if there is none."""
        if self.resume is None:
            return 0
        try:
            reached = Reached.read(self.folder)
            if reached is None:
                return 0
            found = state.read(self.folder / reached.file, reached.sha256)
        except (OSError, ValueError) as error:
            say(f"its checkpoint is damaged ({error}): the training starts again")
            shutil.rmtree(self.folder, ignore_errors=True)
            return 0
        for name in found:
            self.parts[name].restore(found[name])
        self.file = reached.file
        say(f"goes on from step {reached.step:,} of {self.steps:,}")
        return reached.step

    def offer(self, step: int) -> None:
        """Between two steps: write one if it is time. Raises Stopped after that if a signal came.

        step  how many are done
        """
        signalled = self.stop.signal is not None
        if not self._writes or not (signalled or time.monotonic() >= self.due):
            return
        kept = step > 0 and self._write(step, list(self.parts))
        if signalled:
            then = "`dvc repro` goes on from there" if kept else "`dvc repro` starts it again"
            raise Stopped(f"at step {step:,} of {self.steps:,}; {then}")

    def during(self, step: int, work: Callable[[AtOnce], T]) -> T:
        """Result of an evaluation, which can take long: a signal does not wait for its end.

        work  calls with what it is given the function in which it may be stopped
        """
        try:
            return work(self.stop.at_once)
        except Stopped:
            self.offer(step)
            raise

    def pause(self, step: int) -> None:
        """Keep all of it: the training goes on later."""
        if self._writes:
            self._write(step, list(self.parts))

    def finish(self, step: int, *names: str) -> None:
        """Keep the parts that hold the result, since other trainings of the stage follow."""
        if self._writes:
            self._write(step, names)

    @property
    def _writes(self) -> bool:
        return self.resume is not None and self.resume.own

    def _write(self, step: int, names: Sequence[str]) -> bool:
        """Is it on the disk? If not, a warning says why, and the training goes on without."""
        assert self.resume is not None
        begin = time.monotonic()
        try:
            if not self.resume.unchanged():
                say(f"no checkpoint at step {step:,}: an input has changed since the stage began")
                return False
            self._write_whole(step, names)
        except OSError as error:
            say(f"no checkpoint at step {step:,}: {error.strerror or error}")
            return False
        finally:
            now = time.monotonic()
            self.due = now + max(EVERY_SECONDS, (now - begin) / SHARE)
        return True

    def _write_whole(self, step: int, names: Sequence[str]) -> None:
        """Beside the last one, which counts until this one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = {name: self.parts[name].state() for name in names}
        if shutil.disk_usage(self.folder).free < SPARE * state.size(held):
            raise OSError(errno.ENOSPC, "the space that is left is for the stage's result")
        last, file = self.file, FILES[1 - FILES.index(self.file)]
        try:
            sha256 = state.write(held, self.folder / file)
            Reached(step, self.steps, file, sha256).write(self.folder)
        except BaseException:
            (self.folder / file).unlink(missing_ok=True)
            raise
        self.file = file
        (self.folder / last).unlink(missing_ok=True)
