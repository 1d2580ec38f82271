"""Connections: bounded in time and size, and none is lost when the service stops."""

import asyncio
import contextlib
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lmspec.formats import manifest
from lmspec.serving import app, connections, running
from lmspec.serving.tls import Tls
from tests import bundles
from tests.miniature import ROOT
from tests.serving import Client

LIMITS = {"max_text_bytes": 200, "max_texts": 8, "max_body_bytes": 4000, "queue": 1000}
LIMITS |= {"timeout_ms": 10_000, "drain_seconds": 10, "empty_text": "no_answer"}
BODY = b'{"text": "the film"}'
HEAD = b"POST /v1/classify HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
REQUEST = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("bundle"), LIMITS)


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    made = Client(folder)
    yield made
    made.close()


class Connection:
    """One connection to the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def response(self, seconds: float = 20) -> tuple[int, dict[str, str], bytes]:
        """The next one. Raises IncompleteReadError if the connection ends, TimeoutError."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), seconds)).decode()
        first, *lines = head.rstrip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, body

    async def ended(self) -> bool:
        """Did the service close it?"""
        with contextlib.suppress(ConnectionResetError):
            return await asyncio.wait_for(self.reader.read(), 20) == b""
        return True


@contextlib.asynccontextmanager
async def listening(
    client: Client, tls: Tls | None = None
) -> AsyncIterator[tuple[running.Server, Callable[..., Any]]]:
    """The service behind a socket, in this process; what it gives opens a connection."""
    listener = running.bound("127.0.0.1", 0)
    address = listener.getsockname()
    ready = asyncio.Event()
    server = running.server(client.service, ready.set, tls=tls)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait_for(ready.wait(), 20)

    async def connect(**options: Any) -> Connection:
        return Connection(*await asyncio.open_connection(*address, **options))

    try:
        yield server, connect
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(task, 20)


def test_requests_of_one_connection_are_answered_in_order(client: Client) -> None:
    """Also those that are sent at once, in any pieces."""

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            connection.writer.write(REQUEST * 3)
            assert [(await connection.response())[0] for _ in range(3)] == [200] * 3
            for start in range(0, len(REQUEST), 40):
                connection.writer.write(REQUEST[start : start + 40])
                await asyncio.sleep(0.001)
            assert (await connection.response())[0] == 200

    asyncio.run(ask())


def test_slow_senders_stop_no_one_and_are_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred that send a byte now and then: in the head, in the body, or nothing at all."""
    monkeypatch.setattr(connections, "RECEIVE_SECONDS", 2.0)

    async def ask() -> None:
        async with listening(client) as (_, connect):
            starts = [HEAD[:30], HEAD + b"content-length: 20\r\n\r\n{", b""]
            slow = [(await connect(), start) for start in starts for _ in range(33)]
            for connection, start in slow:
                connection.writer.write(start)
            quick = await connect()
            for _ in range(5):
                quick.writer.write(REQUEST)
                assert (await quick.response())[0] == 200
            for connection, start in slow:
                connection.writer.write(b"a" if start else b"")
            for connection, start in slow:
                if start:
                    status, headers, body = await connection.response()
                    assert (status, headers["connection"]) == (408, "close")
                    assert json.loads(body)["error"]["code"] == "too_slow"
                assert await connection.ended()
            quick.writer.write(REQUEST)  # idle all the time: it has nothing to send in time
            assert (await quick.response())[0] == 200

    asyncio.run(ask())


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x: " + b"y" * 20_000 + b"\r\n\r\n",
        HEAD + b"x: y\r\n" * 4000,
        b"GET /" + b"x" * 100_000,
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nhost: t\r\n\r\n",
    ],
    ids=["a long header", "many headers", "an endless path", "a long path"],
)
def test_a_long_head_is_refused(client: Client, head: bytes) -> None:
    """Before it is whole."""

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            connection.writer.write(head)
            status, headers, body = await connection.response()
            assert status in (431, 404) and headers["connection"] == "close"
            if status == 431:
                assert json.loads(body)["error"]["code"] == "head_too_long"
            assert await connection.ended()

    asyncio.run(ask())


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00", b"GARBAGE\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
def test_what_is_not_http_gets_400(client: Client, sent: bytes) -> None:
    """In JSON, and the connection ends."""

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            connection.writer.write(sent)
            status, _, body = await connection.response()
            assert (status, json.loads(body)["error"]["code"]) == (400, "malformed")
            assert await connection.ended()

    asyncio.run(ask())


def test_too_many_connections_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are open go on."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)

    async def ask() -> None:
        async with listening(client) as (_, connect):
            first, second = await connect(), await connect()
            first.writer.write(REQUEST)
            assert (await first.response())[0] == 200
            third = await connect()
            status, headers, _ = await third.response()
            assert (status, headers["retry-after"]) == (503, "1") and await third.ended()
            second.writer.write(REQUEST)
            assert (await second.response())[0] == 200
            second.writer.close()
            await asyncio.sleep(0.1)
            fourth = await connect()
            fourth.writer.write(REQUEST)
            assert (await fourth.response())[0] == 200

    asyncio.run(ask())


@pytest.mark.skipif(sys.platform != "linux", reason="a socket filter of Linux")
def test_a_connection_comes_before_the_end_or_not_at_all() -> None:
    """None is made that would be reset: the kernel drops what asks for one, and takes what a client
    sends on those that are there. Later the client is refused."""
    listener = running.bound("127.0.0.1", 0)
    listener.listen()
    address = listener.getsockname()
    with socket.create_connection(address, 1) as before, socket.socket() as after:
        assert running.admit_no_more(listener)
        before.sendall(b"asked")
        taken, _ = listener.accept()
        assert taken.recv(5) == b"asked"
        after.settimeout(10)
        threading.Timer(0.1, listener.close).start()
        with pytest.raises(ConnectionRefusedError):
            after.connect(address)
        taken.close()


@pytest.mark.parametrize("ours", [True, False])
def test_a_request_on_its_way_is_answered_when_the_service_stops(
    client: Client, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """On an idle connection, and on one that has sent half a request.

    The control: uvicorn's own protocol closes idle connections at once.
    """
    if not ours:
        plain = lambda direct, **named: HttpToolsProtocol(**named)  # noqa: E731
        monkeypatch.setattr(running, "BoundedProtocol", plain)

    async def ask() -> list[int]:
        async with listening(client) as (server, connect):
            idle, new, half = [await connect() for _ in range(3)]
            idle.writer.write(REQUEST)
            await idle.response()
            half.writer.write(REQUEST[:50])
            await asyncio.sleep(0.05)
            for connection in list(server.server_state.connections):
                connection.shutdown()
            server.should_exit = True
            await asyncio.sleep(0.05)
            statuses = []
            for connection, rest in ((idle, REQUEST), (new, REQUEST), (half, REQUEST[50:])):
                connection.writer.write(rest)
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    status, headers, _ = await connection.response()
                    statuses.append(status)
                    assert headers["connection"] == "close" and await connection.ended()
            return statuses

    assert asyncio.run(ask()) == ([200] * 3 if ours else [])


def test_a_client_that_still_sends_sees_why_it_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sends is thrown away until it is at its end, or for some seconds."""
    monkeypatch.setattr(connections, "DISCARD_SECONDS", 0.5)
    head = HEAD + b"content-length: %d\r\n\r\n" % 30_000_000

    async def ask() -> None:
        async with listening(client) as (_, connect):
            whole, half = await connect(), await connect()
            for connection, size in ((whole, 30_000_000), (half, 10_000_000)):
                connection.writer.write(head + b" " * size)
                await asyncio.wait_for(connection.writer.drain(), 20)
                status, headers, body = await connection.response()
                assert (status, headers["connection"]) == (413, "close")
                assert json.loads(body)["error"]["code"] == "body_too_large"
                assert await connection.ended()

    asyncio.run(ask())


def test_what_has_arrived_is_answered_whatever_the_loop_does_first(client: Client) -> None:
    """A loop that was kept from its work may take the timer of an idle connection's end before the
    request that is there."""

    async def ask() -> None:
        async with listening(client) as (server, connect):
            connection = await connect()
            connection.writer.write(REQUEST)
            await connection.response()
            (ours,) = server.server_state.connections
            ours.shutdown()
            connection.writer.get_extra_info("socket")._sock.send(REQUEST)
            ours._end()
            status, headers, _ = await connection.response()
            assert (status, headers["connection"]) == (200, "close")

    asyncio.run(ask())


def test_a_client_that_leaves_is_noted(client: Client) -> None:
    """Before its body is whole: no fault, no answer."""

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            connection.writer.write(HEAD + b"content-length: 20\r\n\r\n{")
            await asyncio.sleep(0.05)
            connection.writer.close()
            for _ in range(200):
                if client.log:
                    break
                await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert [entry["status"] for entry in client.log] == [app.GONE]
    assert "fault" not in client.log[0]


# --- the process ---


def new_folder(path: Path) -> Path:
    path.mkdir()
    return path


class Process:
    """`lmspec serve` in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "lmspec", "serve", str(folder), "--port", "0", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.log: list[dict[str, Any]] = []
        self.ready: dict[str, Any] = {"event": "none"}
        while self.ready["event"] != "ready":
            line = self.process.stderr.readline()
            assert line.startswith("{"), line + self.process.stderr.read()
            self.ready = json.loads(line)
        self.port = int(self.ready["url"].rpartition(":")[2])
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(json.loads(line))

    def reloads(self) -> list[dict[str, Any]]:
        """What the log has of them up to now."""
        return [entry for entry in list(self.log) if "reload" in entry["event"]]

    def stop(self, number: int) -> int:
        """The exit status, and the log up to its end."""
        self.process.send_signal(number)
        status = self.process.wait(30)
        self._reading.join(10)
        return status


def test_reloads_and_sigterm_lose_no_request(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Eight clients keep their connections and connect again; what is not refused at the door is
    answered. A damaged bundle is not served, nor the connection's end an error: the exit status is
    0. It listens on this machine alone."""
    place = tmp_path_factory.mktemp("releases")
    releases = [
        folder,
        bundles.make(new_folder(place / "b"), LIMITS | {"queue": 999}),
        shutil.copytree(folder, place / "bad"),
    ]
    (releases[2] / "model.onnx").write_bytes(b"")
    link = place / "current"
    link.symlink_to(folder)
    served = Process(link, "--threads", "2")
    answered: list[int] = []
    digests: list[str] = []
    lost: list[str] = []
    stopping = threading.Event()

    def ask() -> None:
        connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
        while True:
            try:
                connection.connect() if connection.sock is None else None
            except OSError:
                return  # no longer there: nothing was asked
            try:
                connection.request("POST", app.CLASSIFY, BODY, {"Content-Type": "application/json"})
                response = connection.getresponse()
                digests.append(json.loads(response.read())["bundle"])
                answered.append(response.status)
            except Exception as error:
                lost.append(repr(error))
                return
            if stopping.is_set():
                time.sleep(0.02)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number, target in enumerate([1, 0, 2], start=1):
        link.unlink()
        link.symlink_to(releases[target])
        served.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while len(served.reloads()) < number and time.monotonic() < deadline:
            time.sleep(0.01)
    time.sleep(0.2)
    stopping.set()
    status = served.stop(signal.SIGTERM)
    for thread in threads:
        thread.join(30)
    assert (status, lost) == (0, []) and set(answered) == {200} and len(answered) > 8
    events = [entry["event"] for entry in served.log if entry["event"] != "request"]
    assert events == ["reloaded", "reloaded", "reload refused", "draining", "stopped"]
    assert served.log[-1]["lost"] == 0 and "model.onnx" in served.reloads()[-1]["error"]
    assert set(digests) == {manifest.read(release).digest for release in releases[:2]}
    assert served.ready["url"].startswith("http://127.0.0.1:")
    assert sum(entry["event"] == "request" for entry in served.log) == len(answered)


def test_the_examples_of_the_page_are_true(folder: Path) -> None:
    """Each `$ curl` of docs/serving.md and the tutorial has the response that is shown, but for
    labels."""
    pages = [(ROOT / "docs" / name).read_text() for name in ("serving.md", "tutorial.md")]
    examples = re.findall(r"^\$ (curl .*)\n(\{.*\})$", "\n".join(pages), re.M)
    assert len(examples) == 3
    served = Process(folder, "--quiet")
    for command, shown in examples:
        words = shlex.split(command.replace(":8000/", f":{served.port}/"))
        done = subprocess.run([*words, "-sS"], capture_output=True, text=True, check=True)
        given, expected = (stable(json.loads(text), command) for text in (done.stdout, shown))
        assert given == expected, command
    assert served.stop(signal.SIGINT) == 0
    assert [entry["event"] for entry in served.log] == ["draining", "stopped"]


def stable(values: Any, command: str) -> Any:
    """What does not depend on the bundle: fields at each depth, the kinds of their values, errors,
    and ids that the command gives."""
    if isinstance(values, list):
        return [stable(one, command) for one in values]
    if isinstance(values, dict):
        return {
            name: value
            if name == "error" or (name == "id" and value in command)
            # labels of this bundle and of the page's differ
            else bool(value)
            if name == "probabilities"
            else stable(value, command)
            for name, value in values.items()
        }
    return type(values)


def test_a_port_that_is_taken_is_one_message(folder: Path) -> None:
    """With what to do."""
    from click.testing import CliRunner

    from lmspec.cli.main import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, ["serve", str(folder), "--port", port])
    assert (
        done.exit_code == 1 and f"127.0.0.1:{port}: the service cannot listen there" in done.output
    )
    assert "--port" in done.output and "Traceback" not in done.output
