"""direct: a small request to classify is answered without ASGI.

What uvicorn, ASGI and an application do around it takes a sixth of the time of a small graph. What
is not as most requests are (long, compressed, traced, with a key that is wrong) goes the long way,
with the same functions.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, ClassVar

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lmspec.serving import app, asking, tracing
from lmspec.serving.asking import Refused
from lmspec.serving.hosts import Hosts
from lmspec.serving.service import Pending, Service

PATH, METHOD, VERSION = app.CLASSIFY.encode("ascii"), b"POST", "1.1"
CONTENT_TYPE = b"application/json"
MOST_DIGITS = 4  # of the bytes of a body: all connections together have 10 MB of them
LONG_WAY = {b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"}
Headers = list[tuple[bytes, bytes]]


class Direct:
    """Which requests are answered here.

    hosts  names by which the service may be asked; None: any
    """

    def __init__(self, service: Service, hosts: Hosts | None = None) -> None:
        self._service, self._hosts = service, hosts

    def exchange(
        self, protocol: HttpToolsProtocol, url: bytes, headers: Headers
    ) -> "Exchange | None":
        """For a request with this head; None: it goes the long way."""
        parser = protocol.parser
        suits = (
            url == PATH
            and parser.get_method() == METHOD
            and parser.get_http_version() == VERSION
            and parser.should_keep_alive()
            and self._suits(headers)
        )
        return Exchange(self._service, protocol, headers) if suits else None

    def _suits(self, headers: Headers) -> bool:
        named, release = dict(headers), self._service.current
        size = named.get(b"content-length", b"")
        is_plain = (
            len(named) == len(headers)
            and named.get(b"content-type") == CONTENT_TYPE
            and LONG_WAY.isdisjoint(named)
            and len(size) <= MOST_DIGITS
            and size.isdigit()
            and int(size) <= release.limits.max_body_bytes
            and not tracing.is_on()
        )
        return is_plain and app.refusal(release.keys, self._hosts, {"headers": headers}) is None


class Exchange:
    """A request and its response, in the place of a cycle of uvicorn, by whose names it orders the
    requests of a connection and ends.

    body  what has arrived of it
    """

    message_event: ClassVar[Any] = type("Unheard", (), {"set": staticmethod(lambda: None)})
    response_complete = disconnected = False
    keep_alive = True

    def __init__(self, service: Service, protocol: HttpToolsProtocol, headers: Headers) -> None:
        self._service, self._protocol = service, protocol
        self._began = time.perf_counter()
        self._seen: dict[str, Any] = {"id": app.identity({"headers": headers})}
        self._pending: Pending | None = None
        self.body = b""

    def begin(self) -> None:
        """The body is here. When the server ends, it waits for this as for its tasks."""
        self._protocol.tasks.add(self)  # type: ignore[arg-type]
        self._try(self._ask)

    def leave(self) -> None:
        """The client is gone before its request was whole."""
        self._note(app.GONE)

    def cancel(self, **named: Any) -> None:
        """The server ends, and has waited long enough."""
        if self._pending:
            self._pending.leave()

    def _ask(self) -> None:
        service, seen = self._service, self._seen
        release = service.current
        asked = asking.asked(self.body, release.limits)
        seen["id"] = asked.id or seen["id"]
        seen["texts"], seen["bytes"] = len(asked.texts), len(self.body)
        then = functools.partial(self._try, self._answer)
        self._pending = service.begin(release, asked, then)

    def _answer(self) -> None:
        pending = self._pending
        assert pending is not None
        answers, waited = self._service.answered(pending)
        self._seen["queue_ms"] = round(1000 * waited, 3)
        release, asked = pending.release, pending.asked
        self._send(app.answering(self._service, release, asked, answers, self._seen))

    def _try(self, step: Callable[[], None]) -> None:
        """Do what may be refused, or have a fault: there is a response in any case."""
        try:
            step()
        except Refused as error:
            self._send(app.refusing(error, self._seen))
        except Exception as error:
            self._seen |= app.fault(error)
            self._send(app.refusing(app.FAULT, self._seen))

    def _send(self, response: Response) -> None:
        protocol, transport = self._protocol, self._protocol.transport
        self.response_complete = True
        protocol.tasks.discard(self)
        status = app.GONE if self.disconnected or transport.is_closing() else response.status_code
        if status != app.GONE:
            self.keep_alive &= not self._service.draining
            transport.write(self._whole(response))
            if not self.keep_alive:
                transport.close()
            protocol.on_response_complete()
        self._note(status)
        if response.background:
            task = protocol.loop.create_task(response.background())
            protocol.tasks.add(task)
            task.add_done_callback(protocol.tasks.discard)

    def _note(self, status: int) -> None:
        seconds = time.perf_counter() - self._began
        app.note(self._service, "POST", app.CLASSIFY, status, seconds, self._seen)

    def _whole(self, response: Response) -> bytes:
        parts = [STATUS_LINE[response.status_code]]
        headers = [*self._protocol.server_state.default_headers, *response.raw_headers]
        headers.append((b"x-request-id", self._seen["id"].encode("ascii")))
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        return b"".join((*parts, b"\r\n", response.body))
