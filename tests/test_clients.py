"""Programs of others talk to a service: tritonclient, what its documents show, and schemathesis.

pip install -e '.[peers]'; pip install --no-deps tritonclient==2.73.0
"""

import ast
import asyncio
import contextlib
import random
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmspec.formats.predict import Classifier
from lmspec.serving import app, connections
from tests import bundles
from tests.miniature import ROOT
from tests.serving import JSON, Client, listening
from tests.test_connections import Connection
from tests.test_connections import listening as listening_here
from tests.test_inference import HEAD, TEXTS, in_binary, of_ids
from tests.test_serving import MALFORMED

LIMITS = {"max_text_bytes": 200, "max_texts": 8, "max_body_bytes": 40_000, "queue": 1000}
LIMITS |= {"timeout_ms": 20_000, "drain_seconds": 30, "empty_text": "no_answer"}
EXTRA = "pip install -e '.[peers]'; pip install --no-deps tritonclient==2.73.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bundles") / "release"
    place.mkdir()
    return bundles.make(place, LIMITS)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """HOST:PORT of a service in a thread."""
    with listening(Client(folder)) as url:
        yield url.removeprefix("http://").rstrip("/")


# --- tritonclient ---


@pytest.fixture(scope="module")
def triton(address: str) -> Iterator[Any]:
    pytest.importorskip("tritonclient", reason=EXTRA)
    http = pytest.importorskip("tritonclient.http", reason=EXTRA)
    client = http.InferenceServerClient(address)
    yield client
    client.close()


def test_tritonclient_finds_the_model(triton: Any, folder: Path) -> None:
    """Health, metadata and configuration, with and without the version; errors are readable."""
    from tritonclient.utils import InferenceServerException

    assert triton.is_server_live() and triton.is_server_ready()
    assert triton.get_server_metadata()["name"] == "lmspec"
    about = triton.get_model_metadata("release")
    (version,) = about["versions"]
    assert triton.is_model_ready("release") and triton.is_model_ready("release", version)
    assert triton.get_model_metadata("release", version) == about
    config = triton.get_model_config("release")
    assert [one["name"] for one in config["input"]] == [one["name"] for one in about["inputs"]]
    assert not triton.is_model_ready("other") and not triton.is_model_ready("release", "1")
    with pytest.raises(InferenceServerException, match="there is model release"):
        triton.get_model_metadata("other")


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_has_the_answers_of_predict_py(
    triton: Any, folder: Path, binary: bool, compression: str | None
) -> None:
    """Of texts and of ids, in JSON and in binary, compressed and not: bit for bit."""
    from tritonclient.http import InferInput, InferRequestedOutput

    classifier = Classifier(folder)
    good = [text for text in TEXTS if text.strip()]
    expected = classifier.predict_many(good)
    texts = InferInput("text", [len(good)], "BYTES")
    texts.set_data_from_numpy(np.array(good, object), binary_data=binary)
    rows = classifier.reader.read([classifier.clean(text) for text in good]).ids
    longest = max(map(len, rows))
    inputs = [[texts], []]
    for name, fill in (("input_ids", None), ("attention_mask", 1)):
        values = np.zeros((len(rows), longest), np.int64)
        for number, row in enumerate(rows):
            values[number, : len(row)] = row if fill is None else fill
        tensor = InferInput(name, list(values.shape), "INT64")
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs[1].append(tensor)
    wanted = [InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]
    for given in inputs:
        for outputs in (wanted, None):
            result = triton.infer(
                "release",
                given,
                outputs=outputs,
                request_id="q/1",
                request_compression_algorithm=compression,
            )
            labels = [
                one.decode() if isinstance(one, bytes) else one for one in result.as_numpy("label")
            ]
            assert labels == [next(iter(answer)) for answer in expected]
            assert result.as_numpy("probabilities").tolist() == [
                [answer[label] for label in bundles.LABELS] for answer in expected
            ]
            assert result.get_response()["id"] == "q/1"


def test_tritonclient_says_which_text_is_refused(triton: Any) -> None:
    """In the words of the service."""
    from tritonclient.http import InferInput
    from tritonclient.utils import InferenceServerException

    texts = InferInput("text", [2], "BYTES")
    texts.set_data_from_numpy(np.array(["a", "x" * 201], object))
    with pytest.raises(InferenceServerException, match="text 1: the text has more than 200 bytes"):
        triton.infer("release", [texts])


def test_the_python_of_the_page_runs(triton: Any, address: str, folder: Path) -> None:
    """As docs/serving.md has it, on another port: its last line gives the label."""
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "serving.md").read_text(), re.M | re.S
    )
    *lines, last = ast.parse(block.replace("127.0.0.1:8000", address)).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(ast.Module(lines, []), "docs/serving.md", "exec"), names)
    (label,) = eval(compile(ast.Expression(last.value), "docs/serving.md", "eval"), names)
    assert label.decode() == next(iter(Classifier(folder).predict("A gorgeous, witty film.")))


# --- any request ---


@pytest.mark.slow
def test_schemathesis_finds_nothing(address: str, tmp_path: Path) -> None:
    """In 2,000 cases or more, made of the document: what it allows and what it does not."""
    pytest.importorskip("schemathesis", reason=EXTRA)
    command = [str(Path(sys.executable).with_name("st")), "run", f"http://{address}{app.OPENAPI}"]
    command += ["--max-examples", "2000", "--generation-deterministic", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    cases = re.search(r"([\d,]+) generated, ([\d,]+) passed", done.stdout)
    assert cases is not None and cases[1] == cases[2]
    print(f"\n{cases[0]}")
    assert int(cases[1].replace(",", "")) >= 2000


@pytest.mark.parametrize("number", [600, pytest.param(20_000, marks=pytest.mark.slow)])
def test_any_body_is_answered_or_refused(folder: Path, number: int) -> None:
    """On both protocols, compressed or not, with any header: no 5xx but 503. Afterwards the service
    answers as before."""
    draw = random.Random(number)
    client = Client(folder)
    before = client.post({"texts": ["the film", "a bore"]}).values["answers"]

    async def ask() -> dict[int, int]:
        counts: dict[int, int] = {}
        for _ in range(number):
            path, body, headers = fuzzed(draw)
            response = await client.ask("POST", path, (body,), headers)
            counts[response.status] = counts.get(response.status, 0) + 1
            known = {200, 400, 413, 415, 422, 503}
            assert response.status in known, (path, body, headers, response.body)
            assert response.body.startswith(b"{") and response.values
        return counts

    counts = asyncio.run(ask())
    print(f"\n{counts}")
    assert counts.keys() >= {200, 400, 415}
    assert not [entry for entry in client.log if "fault" in entry or entry["event"] == "failed"]
    assert client.post({"texts": ["the film", "a bore"]}).values["answers"] == before
    client.close()


SEEDS: list[tuple[str, bytes, dict[str, str]]] = [
    *((app.CLASSIFY, body, {}) for body in MALFORMED.values()),
    (app.CLASSIFY, b'{"texts": ["a", {"text": "\\u00e9", "id": "b"}], "top": 2, "id": "q"}', {}),
    (app.CLASSIFY, '{"text": "\u5f88\u597d \U0001f600 &amp;amp; caf\u00c3\u00a9"}'.encode(), {}),
    ("/v2/models/release/infer", *in_binary(TEXTS, id="q", outputs=[{"name": "label"}])),
    ("/v2/models/release/infer", *of_ids([[1, 2, 3], [4, 5]], 3)),
    ("/v2/models/release/infer", *of_ids([[1, 2, 3], [4, 5]], 3, binary=True)),
]
PARTS = (b"\\ud800", b'"', b"{", b"[", b"\x00", b"1e9", b"-1", b"9" * 30, b"null", b"NaN", b"\xff")
TYPES = ("application/json", "application/octet-stream", "", "text/plain", "multipart/form-data")


def fuzzed(draw: random.Random) -> tuple[str, bytes, dict[str, str]]:
    """A body that was good, or is noise; and headers that fit, or do not."""
    path, seed, headers = draw.choice(SEEDS)
    body, headers = bytearray(seed[:4000]), JSON | headers
    if draw.random() < 0.1:
        body = bytearray(draw.randbytes(draw.randrange(300)))
    for _ in range(draw.choice([0, 1, 1, 2, 4, 8])):
        place, end = (draw.randrange(len(body) + 1) for _ in range(2))
        match draw.randrange(5):
            case 0:
                body[place : place + 1] = draw.randbytes(1)
            case 1:
                del body[place : min(end, place + 20)]
            case 2:
                body[place:place] = body[place:end][:500]
            case 3:
                body[place : place + draw.randrange(4)] = draw.choice(PARTS)
            case _:
                body[place:place] = body[draw.randrange(len(body) + 1) :][:8]
    sent = bytes(body)
    match draw.randrange(12):
        case 0:
            headers["content-type"] = draw.choice(TYPES)
        case 1:
            headers["content-encoding"] = draw.choice(["gzip", "deflate", "br", "identity"])
        case 2:
            sent, headers["content-encoding"] = zlib.compress(sent), "deflate"
        case 3:
            headers[HEAD] = draw.choice(["0", "-1", "x", "10", str(len(sent)), "9" * 30])
        case 4:
            headers["content-length"] = draw.choice(["0", "5", "x", "9" * 30])
    return path, sent, headers


@pytest.mark.parametrize("number", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_any_bytes_on_a_connection_are_answered_or_end_it(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads, too: no 5xx but 503, and another connection goes on."""
    monkeypatch.setattr(connections, "RECEIVE_SECONDS", 0.3)
    draw = random.Random(number)
    client = Client(folder)

    async def ask() -> list[int]:
        statuses: list[int] = []
        async with listening_here(client) as (_, connect):

            async def one() -> None:
                connection: Connection = await connect()
                connection.writer.write(damaged(draw))
                answer = b""
                with contextlib.suppress(TimeoutError, ConnectionError):
                    while part := await asyncio.wait_for(connection.reader.read(65536), 0.8):
                        answer += part
                statuses.extend(int(code) for code in re.findall(rb"HTTP/1.1 (\d{3}) ", answer))
                connection.writer.close()

            good: Connection = await connect()
            for _ in range(0, number, 50):
                good.writer.write(GOOD)
                assert (await good.response())[0] == 200
                await asyncio.gather(*(one() for _ in range(50)))
        return statuses

    statuses = asyncio.run(ask())
    client.close()
    assert not [one for one in statuses if one >= 500 and one != 503]
    assert {200, 400, 404, 408} <= set(statuses) and len(statuses) > number / 2
    assert not [entry for entry in client.log if "fault" in entry]


def damaged(draw: random.Random) -> bytes:
    """A request whose head has lost some bytes and has others, or none."""
    path, body, headers = fuzzed(draw)
    headers = {"content-length": str(len(body)), "connection": "close"} | headers
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    sent = bytearray("\r\n".join([*lines, "", ""]).encode() + body)
    for _ in range(draw.randrange(3)):
        place = draw.randrange(200)
        sent[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
    return bytes(sent)


GOOD = b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
GOOD += b'content-length: 20\r\n\r\n{"text": "the film"}'
