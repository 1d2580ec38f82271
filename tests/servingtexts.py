"""servingtexts: a service that writes in this process, asked whole and as a stream."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message

from lmspec.serving import completions, opening, running
from lmspec.serving.keys import Keys
from lmspec.serving.releases import Given
from lmspec.serving.writing import WritingService
from tests.serving import JSON, Response

CHAT, TEXTS = completions.CHAT, completions.TEXTS
LIMITS: dict[str, Any] = {"max_text_bytes": 200, "max_texts": 8, "max_body_bytes": 4000}
LIMITS |= {"queue": 8, "timeout_ms": 20_000, "drain_seconds": 30, "empty_text": "no_answer"}


def user(text: str) -> list[dict[str, str]]:
    """A conversation that begins."""
    return [{"role": "user", "content": text}]


async def until(holds: Any) -> None:
    """Wait for something that threads do."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.002)


class Stream(NamedTuple):
    """A stream, read to its end: its events, and whether `[DONE]` was the last of them."""

    events: list[dict[str, Any]]
    done: bool

    def text(self, number: int = 0) -> str:
        """What the deltas of a choice say together."""
        return "".join(self.pieces(number))

    def pieces(self, number: int = 0) -> list[str]:
        """Each of them."""
        choices = [one for each in self.events for one in each.get("choices", ())]
        own = [one for one in choices if one["index"] == number]
        return [one["text"] if "text" in one else one["delta"].get("content", "") for one in own]

    def reasons(self) -> dict[int, str]:
        """Why each choice has ended."""
        choices = [one for each in self.events for one in each.get("choices", ())]
        return {one["index"]: one["finish_reason"] for one in choices if one["finish_reason"]}


def streamed(body: bytes) -> Stream:
    """Server-sent events, parsed."""
    parts = body.decode("utf-8").split("\n\n")
    assert parts.pop() == "" and all(part.startswith("data: ") for part in parts)
    data = [part.removeprefix("data: ") for part in parts]
    done = data[-1:] == ["[DONE]"]
    return Stream([json.loads(one) for one in data[: len(data) - done]], done)


class Client:
    """Asks a service; its log is kept."""

    compared = hosts = None

    def __init__(self, folder: Path, slots: int = 4, keys: Keys | None = None) -> None:
        self.log: list[dict[str, Any]] = []
        given = Given(opening.opened(folder), keys=keys)
        self.service = WritingService(given, slots, self._note)
        self.app: ASGIApp = completions.app_of(self.service)
        self.gates: list[Gate] = []

    def _note(self, event: str, **values: Any) -> None:
        self.log.append({"event": event, **values})

    @property
    def writer(self) -> Any:
        """That of the bundle."""
        return self.service.current.writer

    def close(self) -> None:
        """End the threads, also after a test that has failed."""
        for gate in self.gates:
            gate.open()
        self.service.current.close()

    def get(self, path: str, **headers: str) -> Response:
        """One GET."""
        return asyncio.run(self.ask("GET", path, b"", headers))

    def post(self, path: str, values: Any, **headers: str) -> Response:
        """One POST, by itself."""
        return asyncio.run(self.send(path, values, **headers))

    def stream(self, path: str, values: Any) -> Stream:
        """One POST, as a stream."""
        return streamed(self.post(path, values | {"stream": True}).body)

    def text(self, path: str, values: Any) -> str:
        """The only text."""
        (choice,) = self.post(path, values).values["choices"]
        return str(choice["text"] if "text" in choice else choice["message"]["content"])

    async def send(self, path: str, values: Any, **headers: str) -> Response:
        """One POST, among others."""
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", path, body, JSON | named)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        leaves: asyncio.Event | None = None,
        sent: Callable[[Message], Any] | None = None,
    ) -> Response:
        """A request; its client leaves when that is set, and looks at what is sent."""
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"}
        scope |= {"method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope |= {"headers": raw, "scheme": "http", "server": ("t", 80), "client": ("t", 1)}
        waiting, start, parts = [body], {}, []

        async def receive() -> Message:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(), "more_body": False}
            await (leaves or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))
            if sent:
                await sent(message)

        await self.app(scope, receive, send)
        named = {name.decode(): value.decode() for name, value in start.get("headers", ())}
        return Response(start.get("status", 0), named, b"".join(parts))


@contextlib.asynccontextmanager
async def listening(client: Client) -> AsyncIterator[tuple[str, running.Server]]:
    """The service behind a socket: its address. It is closed in the end."""
    listener = running.bound("127.0.0.1", 0)
    ready = asyncio.Event()
    server = running.server(client.service, ready.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait_for(ready.wait(), 20)
    try:
        yield running.address(listener), server
    finally:
        for gate in client.gates:
            gate.open()
        server.should_exit = True
        await asyncio.wait_for(task, 20)
        client.close()


class Gate:
    """Steps of a decoder, which wait until they may be taken.

    companies  how many texts each had
    read       prompts that were read
    """

    def __init__(self, client: Client, steps: int = 0) -> None:
        self._decoder = client.writer.decoder
        self._step = self._decoder.step
        self._may = threading.Semaphore(steps)
        self._open = False
        self.companies: list[int] = []
        self.read, self._prefill = 0, self._decoder.prefill
        self._decoder.step, self._decoder.prefill = self, self.prefill
        client.gates.append(self)

    def prefill(self, ids: Any) -> Any:
        """One prompt."""
        self.read += 1
        return self._prefill(ids)

    def __call__(self, pasts: Sequence[Any], tokens: Any) -> Any:
        """One step."""
        if not self._open:
            self._may.acquire()
        self.companies.append(len(pasts))
        return self._step(pasts, tokens)

    def let(self, steps: int) -> None:
        """So many more."""
        self._may.release(steps)

    def open(self) -> None:
        """Any number."""
        self._open = True
        self._may.release(1000)
