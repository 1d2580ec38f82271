"""A small request is answered without ASGI as it is by the application."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmspec.serving import direct
from tests import bundles
from tests.serving import Client
from tests.test_connections import LIMITS, Connection, listening

SHORT, LONG = (
    "application/json",
    "application/json; charset=utf-8",
)  # the second: by the application
MOVING = ("date",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("bundle"), LIMITS)


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    made = Client(folder)
    yield made
    made.close()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Bodies of the requests that did not go through the application."""
    bodies: list[bytes] = []
    ask = direct.Exchange._ask

    def noted(exchange: direct.Exchange) -> None:
        bodies.append(bytes(exchange.body))
        ask(exchange)

    monkeypatch.setattr(direct.Exchange, "_ask", noted)
    return bodies


def request(body: bytes, content_type: str, *headers: str) -> bytes:
    """A whole request."""
    lines = [
        "POST /v1/classify HTTP/1.1",
        "host: t",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        "x-request-id: one",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def asked(connection: Connection, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Its response, without what differs from one to the next."""
    connection.writer.write(sent)
    status, headers, body = await connection.response()
    kept = {name: value for name, value in headers.items() if name not in MOVING}
    return status, kept, body


BODIES = {
    "one text": b'{"text": "the film"}',
    "a list, a text of which is too long": json.dumps({"texts": ["good", "x" * 300]}).encode(),
    "no text in it": b'{"text": ""}',
    "other scripts": '{"text": "\u041f\u0440\u0438\u0432\u0435\u0442, \u0663"}'.encode(),
    "half a surrogate pair": b'{"text": "\\ud800"}',
    "an identity": b'{"text": "good", "id": "one"}',
    "not JSON": b"{",
    "not UTF-8": b'{"text": "\xff"}',
    "deep": b"[" * 900,
    "too many": json.dumps({"texts": ["a"] * 9}).encode(),
    "another field": b'{"text": "good", "colour": 1}',
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_the_response_is_that_of_the_application(
    client: Client, taken: list[bytes], body: bytes
) -> None:
    """Status, headers and body; on one connection, which goes on."""

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            short = await asked(connection, request(body, SHORT))
            assert taken == [body]
            assert await asked(connection, request(body, LONG)) == short
            assert taken == [body]
            assert (await asked(connection, request(body, SHORT))) == short

    asyncio.run(ask())


@pytest.mark.parametrize(
    "header",
    ["transfer-encoding: identity", "content-encoding: gzip", "x-request-id: two"],
)
def test_what_is_unusual_goes_the_long_way(client: Client, taken: list[bytes], header: str) -> None:
    """An encoding of the body, or a head with one name twice: the application answers."""

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            connection.writer.write(request(BODIES["one text"], SHORT, header))
            await connection.response()

    asyncio.run(ask())
    assert taken == []


def test_a_fault_is_one_response(
    client: Client, taken: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 and a line in the log; the connection and the service go on."""
    begin = client.service.begin
    faults = [RuntimeError("planted")]

    def faulty(*given: Any) -> Any:
        if faults:
            raise faults.pop()
        return begin(*given)

    monkeypatch.setattr(client.service, "begin", faulty)

    async def ask() -> None:
        async with listening(client) as (_, connect):
            connection = await connect()
            status, _, body = await asked(connection, request(BODIES["one text"], SHORT))
            assert status == 500 and b"planted" not in body
            assert (await asked(connection, request(BODIES["one text"], SHORT)))[0] == 200

    asyncio.run(ask())
    assert len(taken) == 2
    assert [line["status"] for line in client.log if "status" in line] == [500, 200]


def test_the_loop_computes_what_threads_compute(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes."""
    texts = ["the film", "a dull story", "x " * 80]

    async def answers() -> list[bytes]:
        async with listening(client) as (_, connect):
            connections = [await connect() for _ in texts]
            sent = [request(json.dumps({"text": text}).encode(), SHORT) for text in texts]
            found = await asyncio.gather(*map(asked, connections, sent))
            assert [status for status, _, _ in found] == [200] * len(texts)
            return [body for _, _, body in found]

    release = client.service.current
    monkeypatch.setattr(release, "quick", True)
    by_loop = asyncio.run(answers())
    monkeypatch.setattr(release, "quick", False)
    assert asyncio.run(answers()) == by_loop
