"""progress: what a training tells while it runs: a line for people, and lines for trackers."""

import contextlib
import os
import sys
import time
from collections import deque
from types import TracebackType
from typing import Any, Self, SupportsFloat

from lmspec.methods import curves
from lmspec.specs.training import GradientDescent

LOG_SECONDS, TERMINAL_SECONDS = 10.0, 0.2  # between lines of a log; between rewritings of one
FILE_SECONDS = 1.0
WINDOW_SECONDS = 30.0  # of the speed: an epoch from kept activations is faster than the first


class Progress:
    """One line: loss, dev metric, speed, remaining time.

    On a terminal it is rewritten; in a log it is a plain line every few seconds. The same numbers
    go to the stage's file of `methods/curves.py`.
    """

    def __init__(self, total: int, spec: GradientDescent, curve: str) -> None:
        self.total, self.batch_size = total, spec.batch_size
        self.metric = f"dev_{spec.early_stopping.metric}"
        self.curve = curve
        self.file = curves.Writer()
        self.run = self.file.run  # of the file that has the beginning of the curve
        self.dev: dict[str, Any] = {}
        self.loss: SupportsFloat | None = None
        self.is_terminal = sys.stderr.isatty()
        self.shown = 0  # characters of the line on the terminal
        self.step = 0

    def state(self) -> dict[str, Any]:
        """For a checkpoint: which run has the beginning of the curve, and the last evaluation."""
        return {"run": self.run, "dev": self.dev}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the curve of that run."""
        self.run, self.dev = state["run"], state["dev"]

    def start(self, step: int) -> None:
        """Begin after so many steps."""
        self.step = step
        self.begin = self.printed = self.filed = time.monotonic()
        self.marks = deque([(self.begin, step)])
        size, metric = self.batch_size, self.metric
        before = {"continues": self.run} if self.run not in ("", self.file.run) else {}
        self._write(curves.START, step, steps=self.total, batch_size=size, metric=metric, **before)

    def show(self, step: int, loss: SupportsFloat) -> None:
        """After a step. The loss is read only if it is shown: on a GPU that waits for the step."""
        now, self.step, self.loss = time.monotonic(), step, loss
        if now - self.filed >= FILE_SECONDS:
            self.filed = now
            self._mark(now)
            speed = round(self._speed(), 2)
            self._write(curves.STEP, step, loss=float(loss), texts_per_second=speed)
        if now - self.printed >= (TERMINAL_SECONDS if self.is_terminal else LOG_SECONDS):
            self.printed = now
            self._mark(now)
            left = (self.total - step) * self.batch_size / self._speed()
            self._print(f"{self._numbers()}  {about(left)} left")

    def evaluated(self, step: int, row: dict[str, Any]) -> None:
        """After an evaluation. row: of the curve."""
        self.dev = row
        values = {name: value for name, value in row.items() if name != "step"}
        self._write(curves.EVALUATION, step, **values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Leave one line in the end, under which an error can be printed."""
        if kind is None and self.loss is not None:
            took = time.monotonic() - self.begin
            self._print(f"{self._numbers()}  in {about(took)}")
        if self.shown:
            print(file=sys.stderr, flush=True)

    def _numbers(self) -> str:
        loss = "" if self.loss is None else f"  loss {float(self.loss):.4f}"
        name = self.metric.replace("_", " ")
        dev = f"  {name} {self.dev[self.metric]:.4f}" if self.metric in self.dev else ""
        return f"step {self.step}/{self.total}{loss}{dev}  {self._speed():.0f} texts/s"

    def _mark(self, now: float) -> None:
        self.marks.append((now, self.step))
        while len(self.marks) > 2 and now - self.marks[1][0] > WINDOW_SECONDS:
            self.marks.popleft()

    def _speed(self) -> float:
        """Texts per second, evaluations included."""
        since, step = self.marks[0]
        return max(self.step - step, 1) * self.batch_size / max(time.monotonic() - since, 1e-6)

    def _write(self, event: str, step: int, **values: float | str) -> None:
        self.file.write(event, curve=self.curve, step=step, **values)

    def _print(self, text: str) -> None:
        if not self.is_terminal:
            print(f"  {text}", file=sys.stderr, flush=True)
            return
        line = f"  {text}"[: columns()]  # a line that wraps cannot be rewritten
        # spaces, not an escape: not every terminal knows one
        print(f"\r{line:{min(self.shown, columns())}}", end="", file=sys.stderr, flush=True)
        self.shown = len(line)


def say(line: str) -> None:
    """Print a line of its own, over one that is rewritten."""
    text = f"\r{f'  {line}':{columns()}}" if sys.stderr.isatty() else f"  {line}"
    print(text, file=sys.stderr, flush=True)


def columns() -> int:
    """Characters that fit in a line of the terminal."""
    with contextlib.suppress(OSError):
        return (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1
    return 79


def about(seconds: float) -> str:
    """A duration, with the digits that a reader needs."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
