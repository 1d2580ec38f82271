"""clients: so many clients at a time, each of which asks its next request once it has an answer."""

import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

END, LENGTH = b"\r\n\r\n", b"content-length:"
OK, BUSY = 200, 503
SECONDS = 60.0  # without any answer: the server is stuck


@dataclass(frozen=True)
class Asked:
    """All requests, in order.

    seconds   (n,) from a request to its whole response
    statuses  (n,) of HTTP
    wall      seconds from the first request to the last response
    """

    seconds: NDArray[np.float64]
    statuses: NDArray[np.int64]
    wall: float


@dataclass
class _Client:
    connection: socket.socket
    number: int = 0
    began: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def ask(self, number: int, request: bytes) -> None:
        self.number, self.began = number, time.perf_counter()
        self.received.clear()
        self.connection.sendall(request)

    def answered(self) -> bool:
        """Read what has come. Is it the whole response? Raises ConnectionError if there is none."""
        part = self.connection.recv(2**16)
        if not part:
            raise ConnectionError("the server has closed a connection")
        self.received += part
        head, end, body = self.received.partition(END)
        if not end:
            return False
        (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(LENGTH))
        return len(body) >= int(length[len(LENGTH) :])


def ask(connect: Callable[[], socket.socket], requests: Sequence[bytes], clients: int) -> Asked:
    """Send each request once. The server keeps connections open, and gives lengths of bodies.

    Raises ConnectionError for what is neither an answer nor a refusal, TimeoutError.
    """
    seconds, statuses = np.zeros(len(requests)), np.zeros(len(requests), np.int64)
    left: Iterator[tuple[int, bytes]] = iter(enumerate(requests))
    selector = selectors.DefaultSelector()
    everybody = [_Client(connect()) for _ in range(min(clients, len(requests)))]
    try:
        start = time.perf_counter()
        for client in everybody:
            selector.register(client.connection, selectors.EVENT_READ, client)
            client.ask(*next(left))
        answered = 0
        while answered < len(requests):
            ready = selector.select(SECONDS)
            if not ready:
                raise TimeoutError(f"no answer within {SECONDS:.0f} s")
            for key, _ in ready:
                client = key.data
                if not client.answered():
                    continue
                seconds[client.number] = time.perf_counter() - client.began
                status = statuses[client.number] = int(client.received[9:12])
                if status not in (OK, BUSY):
                    raise ConnectionError(f"the server answered with status {status}")
                answered += 1
                if following := next(left, None):
                    client.ask(*following)
        return Asked(seconds, statuses, time.perf_counter() - start)
    finally:
        selector.close()
        for client in everybody:
            client.connection.close()


def request(path: str, values: object) -> bytes:
    """A POST of JSON, whole."""
    body = json.dumps(values).encode("ascii")
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return head.encode("ascii") + b"content-length: %d\r\n\r\n" % len(body) + body
