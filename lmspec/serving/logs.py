"""logs: a JSON object a line for each request and for what happens to the service; no texts."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from lmspec.serving import compact

OF_REQUESTS = ("request", "differs", "shadow failed")
REQUEST = OF_REQUESTS[0]
WRITE_SECONDS = 0.1  # from a request to its line
MOST_WAITING = 64  # lines


class Log:
    """Writes lines; a reader that is gone, or a full disk, stops no request.

    write     takes one line, or several
    requests  are requests logged, too?

    Lines of requests are written together: after a graph has filled the caches of a processor, a
    line by itself takes three times as long.
    """

    def __init__(self, write: Callable[[str], object], requests: bool = True) -> None:
        self._write, self._requests = write, requests
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, str, dict[str, object]]] = deque()
        self._due = False

    def __call__(self, event: str, **values: object) -> None:
        """One line: of a request soon, and called by the event loop; else now."""
        if event in OF_REQUESTS and not self._requests:
            return
        self._waiting.append((time.time(), event, values))
        if event != REQUEST or len(self._waiting) >= MOST_WAITING:
            self.write()
        elif not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write_due)

    def write(self) -> None:
        """What waits."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # ValueError: a closed stream
            lines = [_line(*self._waiting.popleft()) for _ in range(len(self._waiting))]
            if lines:
                self._write("\n".join(lines))

    def _write_due(self) -> None:
        self._due = False
        self.write()


def _line(seconds: float, event: str, values: dict[str, object]) -> str:
    shown = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return compact.text({"time": f"{shown[:-6]}Z", "event": event, **values})
