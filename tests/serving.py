"""serving: a service in this process, asked without a network."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message

from lmspec.serving import app, opening, running
from lmspec.serving.hosts import Hosts
from lmspec.serving.keys import Keys
from lmspec.serving.service import Given, Service

JSON = {"content-type": "application/json"}


class Response(NamedTuple):
    """A response, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def values(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of its error."""
        return str(self.values["error"]["code"])


class Client:
    """Asks a service; its log is kept.

    compared  folder of a second bundle
    hosts     further names of the service, which then checks them
    """

    def __init__(
        self,
        folder: Path,
        threads: int = 2,
        keys: Keys | None = None,
        compared: Path | None = None,
        hosts: Sequence[str] | None = None,
    ) -> None:
        self.log: list[dict[str, Any]] = []
        given = Given(opening.opened(folder), keys=keys)
        self.service = Service(given, threads, self._note)
        self.compared = None
        if compared is not None:
            beside = Given(opening.opened(compared), keys=keys)
            self.compared = Service(beside, threads, self._note)
        self.hosts = None if hosts is None else Hosts(hosts)
        self.app: ASGIApp = app.app(self.service, self.compared, self.hosts)

    def _note(self, event: str, **values: Any) -> None:
        self.log.append({"event": event, **values})

    def close(self) -> None:
        """End the threads."""
        for service in filter(None, (self.service, self.compared)):
            service.current.line.close()

    def get(self, path: str, **headers: str) -> Response:
        """One GET."""
        return asyncio.run(self.ask("GET", path, (), headers))

    def post(self, values: Any, **headers: str) -> Response:
        """Classify: values, or bytes as they are."""
        return asyncio.run(self.classify(values, **headers))

    async def classify(self, values: Any, **headers: str) -> Response:
        """The same, among others."""
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", app.CLASSIFY, (body,), JSON | named)

    async def ask(
        self, method: str, path: str, parts: Iterable[bytes], headers: Mapping[str, str]
    ) -> Response:
        """A request whose body comes in parts, without a length unless the headers give it."""
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"}
        scope |= {"method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope |= {"headers": raw, "scheme": "http", "server": ("t", 80), "client": ("t", 1)}
        waiting = [*parts]
        start: dict[str, Any] = {}
        body = b""

        async def receive() -> Message:
            part = waiting.pop(0) if waiting else b""
            return {"type": "http.request", "body": part, "more_body": bool(waiting)}

        async def send(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body += message.get("body", b"")

        await self.app(scope, receive, send)
        return Response(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            body,
        )


@contextlib.contextmanager
def listening(client: Client) -> Iterator[str]:
    """The service behind a socket, in a thread; its URL."""
    listener = running.bound("127.0.0.1", 0)
    ready = threading.Event()
    server = running.server(client.service, ready.set, client.compared, client.hosts)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    url = running.address(listener)
    thread.start()
    try:
        assert ready.wait(20)
        yield f"{url}/"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)
        client.close()
