"""connections: HTTP connections that cannot take more than their share, and end without a loss.

uvicorn bounds neither the head of a request, nor the time in which one arrives, nor how many
connections there are; and when it stops, it closes idle ones even if a request is on its way.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lmspec.serving import compact

if TYPE_CHECKING:
    from lmspec.serving.direct import Direct, Exchange

MOST_HEAD_BYTES = 16 * 2**10  # request line and headers
RECEIVE_SECONDS = 20.0  # from the first byte of a request to its last
LINGER_SECONDS = 0.5  # a connection that is idle when the service stops may still send a request
NEW_SECONDS = 3.0  # one that has sent none yet was opened to send one
DISCARD_SECONDS = 5.0  # for the rest of a body that was refused before it was here
MOST_CONNECTIONS = 1000


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    direct  what answers some requests without the application; None: nothing
    """

    app: Any

    def __init__(self, *arguments: Any, direct: "Direct | None" = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._direct = direct
        self._exchange: Exchange | None = None  # whose body is on its way
        self._in_head, self._head_bytes = True, 0
        self._arrival: asyncio.TimerHandle | None = None
        self._ending = self._discarding = False

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "there are too many connections")
        else:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget its timer, and a request that will not be whole."""
        self._arrived()
        if self._exchange:
            self._exchange.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a part of a request, and bound its head."""
        self._expect()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins, perhaps within the data that ended the one before."""
        self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Give the request to the application, unless its head is too long."""
        self._in_head = False
        if self._direct and self._is_idle and not self.flow.write_paused:
            self._exchange = self._direct.exchange(self, self.url, self.headers)
            if self._exchange:
                return
        application = self.app
        if sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES:
            self.app = _head_too_long
        super().on_headers_complete()
        self.app = application
        cycle: Any = self.cycle
        if cycle is not None:
            cycle.transport = _Transport(self.transport, cycle, self._close)
        if self._ending:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of one."""
        if self._exchange:
            self._exchange.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A whole request is here."""
        self._in_head, self._head_bytes = True, 0
        self._arrived()
        if self._exchange:
            exchange, self._exchange = self._exchange, None
            exchange.keep_alive = not self._ending
            self.cycle = cast(Any, exchange)
            exchange.begin()
            return
        super().on_message_complete()
        if self._discarding:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "malformed", "this is not HTTP/1.1")

    def shutdown(self) -> None:
        """End after the request that is being answered, or that may be on its way."""
        self._ending = True
        if self._is_idle:
            self.loop.call_later(NEW_SECONDS if self.cycle is None else LINGER_SECONDS, self._end)
        else:
            self.cycle.keep_alive = False

    def _close(self, cycle: Any) -> None:
        """After a response, and after what is left of its request: closing a connection that has
        unread data resets it, and the client, which still sends, would not see why."""
        if cycle.more_body and not self.transport.is_closing():
            self._discarding = True
            self.loop.call_later(DISCARD_SECONDS, self.transport.close)
        else:
            self.transport.close()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _end(self) -> None:
        if not self._is_idle or self.transport.is_closing() or self._head_bytes:
            return
        if self._has_unread():  # loops take timers before data if they were kept from both
            self.loop.call_later(LINGER_SECONDS, self._end)
        else:
            self.transport.close()

    def _has_unread(self) -> bool:
        """Has more arrived than was read? Closing would reset the connection."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.transport.get_extra_info("socket"), selectors.EVENT_READ)
            return bool(selector.select(0))

    def _expect(self) -> None:
        """The rest of a request must arrive in time."""
        if self._arrival is None:
            self._arrival = self.loop.call_later(RECEIVE_SECONDS, self._too_slow)

    def _arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _too_slow(self) -> None:
        self._arrival = None
        if self._discarding:
            self.transport.close()
        elif self._in_head and not self._is_idle:
            self.cycle.keep_alive = False  # the one before is answered first
        elif self._in_head and not self._head_bytes:
            self.transport.close()  # nothing was asked
        else:
            seconds = f"{RECEIVE_SECONDS:g} seconds"
            message = f"the request did not arrive within {seconds}"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too_slow", message)

    def _refuse_head(self) -> None:
        if self._is_idle:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(status, "head_too_long", _LONG)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        """Respond without the application, and close."""
        if self.transport.is_closing():
            return
        body = _body(code, message)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *_headers(body)]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append("retry-after: 1")
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        self.transport.close()


class _Transport:
    """Of one response, whose head leaves with its body: a system call costs as much as all that a
    request needs of Python.

    close  what ends it
    """

    def __init__(self, transport: Any, cycle: Any, close: Callable[[Any], None]) -> None:
        self._transport, self._cycle, self._close = transport, cycle, close
        self._head, self._is_begun = b"", False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send it, unless it is a head, and a body of known length is next."""
        if self._awaits_body():
            self._head, self._is_begun = data, True
            return
        self._transport.write(self._head + data if self._head else data)
        self._head = b""

    def close(self) -> None:
        """In another way than uvicorn."""
        if self._head:
            self._transport.write(self._head)
        self._close(self._cycle)

    def _awaits_body(self) -> bool:
        cycle = self._cycle
        is_known = cycle.expected_content_length > 0 and cycle.chunked_encoding is False
        return not self._is_begun and is_known and cycle.scope["method"] != "HEAD"


_LONG = f"request line and headers may have {MOST_HEAD_BYTES} bytes"


def _body(code: str, message: str) -> bytes:
    return compact.content({"id": None, "error": {"code": code, "message": message}})


def _headers(body: bytes) -> list[str]:
    return ["content-type: application/json", f"content-length: {len(body)}", "connection: close"]


async def _head_too_long(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """An application that refuses."""
    body = _body("head_too_long", _LONG)
    headers = [tuple(line.encode("ascii").split(b": ", 1)) for line in _headers(body)]
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE.value
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
