"""bounded: a line in which nothing waits to be put: what finds no room is refused."""

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Bounded(Generic[Item]):
    """A line between threads.

    most        items that may wait
    most_bytes  their sizes, together
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._ready = threading.Condition()

    def put(self, item: Item, size: int = 0, always: bool = False) -> bool:
        """Let an item wait. Is there room for it?

        always  whether there is or not
        """
        with self._ready:
            full = len(self._items) >= self._most or self._bytes + size > self._most_bytes
            if full and not always:
                return False
            self._items.append((item, size))
            self._bytes += size
            self._ready.notify()
        return True

    def take(self, seconds: float | None = None) -> Item | None:
        """The next item; None if there is none for so long."""
        with self._ready:
            if not self._ready.wait_for(lambda: self._items, seconds):
                return None
            item, size = self._items.popleft()
            self._bytes -= size
            return item
