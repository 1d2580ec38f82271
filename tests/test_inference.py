"""The Open Inference Protocol v2: its answers are those of /v1/classify, in JSON and in binary."""

import asyncio
import gzip
import json
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmspec.formats.predict import Answer, Classifier
from lmspec.serving import inference
from lmspec.serving.keys import Keys
from tests import bundles
from tests.serving import Client, Response

LIMITS = {"max_text_bytes": 200, "max_texts": 8, "max_body_bytes": 4000, "queue": 16}
LIMITS |= {"timeout_ms": 20_000, "drain_seconds": 30}
TEXTS = ["the film was great", "caf\u00e9 \U0001f600", " ", "a sad mess"]
HEAD = "inference-header-content-length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bundles") / "release"
    place.mkdir()
    return bundles.make(place, LIMITS | {"empty_text": "no_answer"})


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    made = Client(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[Answer]:
    return Classifier(folder).predict_many(TEXTS)


def asked(data: list[Any] = TEXTS, **more: Any) -> dict[str, Any]:
    tensor = {"name": "text", "shape": [len(data)], "datatype": "BYTES", "data": data}
    return {"inputs": [tensor], **more}


def packed(texts: list[str]) -> bytes:
    """As the extension has it: each with its length before it."""
    return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)


def in_binary(texts: list[str], **more: Any) -> tuple[bytes, dict[str, str]]:
    """A body whose input is binary, and its header."""
    size = {"binary_data_size": len(packed(texts))}
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "parameters": size}
    head = json.dumps({"inputs": [tensor], **more}).encode()
    return head + packed(texts), {HEAD: str(len(head))}


def infer(client: Client, body: Any, path: str = "release", **headers: str) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(client.ask("POST", f"/v2/models/{path}/infer", (content,), named))


def outputs(response: Response) -> dict[str, list[Any]]:
    """Name -> values, from JSON or from what follows it."""
    head_bytes = int(response.headers.get(HEAD, len(response.body)))
    values, rest = json.loads(response.body[:head_bytes]), response.body[head_bytes:]
    found = {}
    for output in values["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[output["name"]] = output["data"]
            continue
        part, rest = rest[:size], rest[size:]
        if output["datatype"] == "FP64":
            found[output["name"]] = list(struct.unpack(f"<{size // 8}d", part))
        else:
            words = []
            while part:
                end = 4 + struct.unpack("<I", part[:4])[0]
                words.append(part[4:end].decode())
                part = part[end:]
            found[output["name"]] = words
    assert rest == b""
    return found


def as_outputs(expected: list[Answer]) -> dict[str, list[Any]]:
    """An empty text has no label and probabilities of 0."""
    return {
        "label": [next(iter(answer), "") for answer in expected],
        "probabilities": [
            answer.get(label, 0.0) for answer in expected for label in bundles.LABELS
        ],
    }


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_answers_are_those_of_predict_py(
    client: Client, expected: list[Answer], binary_in: bool, binary_out: bool, encoding: str
) -> None:
    """Bit for bit, however texts come and answers go."""
    more = {"id": "q/1", "parameters": {"binary_data_output": binary_out}}
    body, headers = (
        in_binary(TEXTS, **more) if binary_in else (json.dumps(asked(**more)).encode(), {})
    )
    packers: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}
    response = infer(client, packers[encoding](body), **{**headers, "content-encoding": encoding})
    assert response.status == 200 and outputs(response) == as_outputs(expected)
    values = json.loads(response.body[: int(response.headers.get(HEAD, len(response.body)))])
    digest = client.service.current.digest
    assert (values["model_name"], values["model_version"]) == ("release", digest[:16])
    assert values["id"] == "q/1" and (HEAD in response.headers) == binary_out
    assert [output["shape"] for output in values["outputs"]] == [[4], [4, 3]]


def test_outputs_are_those_that_were_asked_for(client: Client, expected: list[Answer]) -> None:
    """In that order, each in its form; a shape of [n, 1] comes back."""
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]
    response = infer(client, asked(outputs=wanted))
    found = outputs(response)
    assert list(found) == ["probabilities", "label"] and found == as_outputs(expected)
    column = asked([[text] for text in TEXTS])
    column["inputs"][0]["shape"] = [4, 1]
    values = infer(client, column).values
    assert [output["shape"] for output in values["outputs"]] == [[4, 1], [4, 3]]


def test_server_and_model_are_described(client: Client) -> None:
    """With and without the version, which is the beginning of the bundle's digest."""
    assert client.get("/v2").values["name"] == "lmspec"
    assert client.get(inference.LIVE).status == client.get(inference.READY).status == 200
    about = client.get("/v2/models/release").values
    (version,) = about["versions"]
    assert client.get(f"/v2/models/release/versions/{version}").values == about
    for path in ("", f"/versions/{version}"):
        assert client.get(f"/v2/models/release{path}/ready").values["ready"] is True
        assert infer(client, asked(), f"release{path}").status == 200
    assert about["outputs"][1]["parameters"]["labels"] == bundles.LABELS
    for path in ("/v2/models/other", "/v2/models/release/versions/1", "/v2/models/..%2f/ready"):
        assert client.get(path).status == 404
        assert isinstance(client.get(path).values["error"], str)
    assert infer(client, asked(), "other").status == 404
    for path in ("/v2/models/release/config", "/v2/models/stats", "/v2/x"):
        assert isinstance(client.get(path).values["error"], str)


def test_readiness_ends_before_the_service(folder: Path) -> None:
    """Health needs no key; anything else does."""
    client = Client(folder, keys=Keys(["a" * 16]))
    assert client.get(inference.READY).status == client.get(inference.LIVE).status == 200
    assert client.get("/v2").status == infer(client, asked()).status == 401
    client.service.draining = True
    assert client.get(inference.READY).status == 503
    client.close()


BAD: dict[str, tuple[int, Any]] = {
    "nothing": (400, b""),
    "a list": (400, []),
    "no inputs": (400, {}),
    "two inputs": (400, {"inputs": asked()["inputs"] * 2}),
    "another name": (400, {"inputs": [asked()["inputs"][0] | {"name": "x"}]}),
    "numbers": (400, {"inputs": [asked()["inputs"][0] | {"datatype": "INT64"}]}),
    "no data": (400, {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]}),
    "another shape": (400, {"inputs": [asked()["inputs"][0] | {"shape": [3]}]}),
    "two columns": (400, {"inputs": [asked()["inputs"][0] | {"shape": [2, 2]}]}),
    "a negative shape": (400, {"inputs": [asked()["inputs"][0] | {"shape": [-1]}]}),
    "no text": (400, asked([])),
    "a number": (400, asked(["x", 1])),
    "a list of lists": (400, asked([["x", "y"]])),
    "an unknown output": (400, asked(outputs=[{"name": "logits"}])),
    "an output twice": (400, asked(outputs=[{"name": "label"}] * 2)),
    "outputs that are none": (400, asked(outputs=3)),
    "parameters that are none": (400, asked(parameters=[])),
    "an id that acts": (400, asked(id="##[x]")),
    "too long": (422, asked(["x", "y" * 201])),
    "too many": (422, asked(["x"] * 9)),
    "too large": (413, asked(["y" * 190] * 30)),
}


@pytest.mark.parametrize(("status", "body"), BAD.values(), ids=BAD)
def test_what_is_no_inference_is_refused(client: Client, status: int, body: Any) -> None:
    """With one sentence, as clients of the protocol read it."""
    response = infer(client, body)
    assert response.status == status and set(response.values) == {"error"}
    assert isinstance(response.values["error"], str)


def test_a_bad_text_is_named(client: Client) -> None:
    """By its place, since the protocol has no errors of single texts."""
    assert infer(client, asked(["x", 1])).values == {"error": "text 1 is not a text"}
    assert infer(client, asked(["x", "y" * 201])).values["error"].startswith("text 1: the text has")


def test_a_bomb_is_not_inflated(client: Client) -> None:
    """No more of it than a body may have; what is cut or followed by more is refused, too."""
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) > 4000
    small = gzip.compress(b" " * 100_000)
    assert infer(client, small, content_encoding="gzip").status == 413
    body = gzip.compress(json.dumps(asked()).encode())
    assert infer(client, body, content_encoding="gzip").status == 200
    for bad in (body[:-1], body + b"x", b"x", b""):
        assert infer(client, bad, content_encoding="gzip").status == 400
    assert infer(client, body, content_encoding="br").status == 415
    assert infer(client, body, content_type="text/plain").status == 415


def test_damaged_binary_is_refused(client: Client) -> None:
    """Lengths that lead out of the body, bytes that are not UTF-8, any flipped byte: no fault."""
    body, headers = in_binary(TEXTS)
    for length in ("x", "-1", str(len(body) + 1), "9" * 30):
        assert infer(client, body, **{HEAD: length}).status == 400
    assert infer(client, body[:-1], **headers).status == 400
    assert infer(client, body + b"x", **headers).status == 400
    draw, statuses = random.Random(5), set()
    for _ in range(600):
        flipped = bytearray(body)
        for _ in range(draw.randint(1, 3)):
            flipped[draw.randrange(len(body))] = draw.randrange(256)
        statuses.add(infer(client, bytes(flipped), **headers).status)
    assert statuses <= {200, 400, 422} and len(statuses) > 1


def test_an_empty_text_may_be_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the spec has it so."""
    limits = client.service.current.limits
    changed = type(limits)(**{**limits.values(), "empty_text": "refused"})  # type: ignore[arg-type]
    monkeypatch.setitem(vars(client.service.current.bundle), "limits", changed)
    response = infer(client, asked(["x", " "]))
    assert response.status == 400
    assert response.values == {"error": "text 1: there is nothing to read in the text"}


def test_the_endpoint_is_logged_without_what_a_client_chose(client: Client) -> None:
    """Its pattern, for log and metrics."""
    infer(client, asked(id="me"))
    infer(client, asked(), "x" * 100)
    assert [entry["endpoint"] for entry in client.log[-2:]] == ["/v2/models/{model}/infer"] * 2
    assert client.log[-2]["id"] == "me" and client.log[-2]["texts"] == 4
