"""logs: a JSON object a line for each request and for what happens to the service; no texts."""

import contextlib
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime

OF_REQUESTS = ("request", "differs", "shadow failed")
JSON = json.JSONEncoder(separators=(",", ":"))


class Log:
    """Writes lines; a reader that is gone, or a full disk, stops no request.

    write     takes a line
    requests  are requests logged, too?
    """

    def __init__(self, write: Callable[[str], object], requests: bool = True) -> None:
        self._write, self._requests = write, requests
        self._lock = threading.Lock()

    def __call__(self, event: str, **values: object) -> None:
        """One line."""
        if event in OF_REQUESTS and not self._requests:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = JSON.encode({"time": time, "event": event, **values})
        with self._lock, contextlib.suppress(OSError, ValueError):  # ValueError: a closed stream
            self._write(line)
