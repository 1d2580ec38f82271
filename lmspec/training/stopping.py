"""stopping: Ctrl-C and SIGTERM wait until what a training holds can be kept."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal stopped a training; the message says where it goes on."""


class Stop:
    """Between `start` and `end` a signal is noted, and a second one changes nothing.

    signal  its number, once there is one
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at_once = False
        self._former: dict[int, Any] = {}

    def start(self) -> None:
        """Only the main thread of a process can handle signals; in another they act as ever."""
        if threading.current_thread() is threading.main_thread():
            self._former = {each: signal.signal(each, self._note) for each in SIGNALS}

    def end(self) -> None:
        """Signals act as before."""
        for each, handler in self._former.items():
            signal.signal(each, handler)
        self._former.clear()

    def at_once(self, work: Callable[[], T]) -> T:
        """Result of a function. Raises Stopped in the middle of it when a signal comes."""
        if self.signal is not None:
            raise Stopped
        self._at_once = True
        try:
            return work()
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        if self._at_once:
            self._at_once = False
            raise Stopped
