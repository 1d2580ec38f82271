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

import numpy as np
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


def of_ids(rows: list[list[int]], length: int, binary: bool = False) -> tuple[bytes, Any]:
    """A body with the ids of each text, padded with whatever; and its header."""
    ids = np.full((len(rows), length), -7, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    inputs, rest = [], b""
    for name, values in (("input_ids", ids), ("attention_mask", mask)):
        tensor = {"name": name, "shape": [len(rows), length], "datatype": "INT64"}
        if binary:
            tensor["parameters"] = {"binary_data_size": values.nbytes}
            rest += values.tobytes()
        else:
            tensor["data"] = values.tolist() if len(rows) % 2 else values.ravel().tolist()
        inputs.append(tensor)
    head = json.dumps({"inputs": inputs}).encode()
    return head + rest, {HEAD: str(len(head))} if binary else {}


@pytest.mark.parametrize("binary", [True, False])
def test_ids_have_the_answer_of_the_text_whose_ids_they_are(
    client: Client, expected: list[Answer], binary: bool
) -> None:
    """Bit for bit, whatever they are padded with; a row of padding is an empty text."""
    classifier = client.service.current.bundle.classifier
    rows = [
        ids.tolist()
        for ids in classifier.reader.read([classifier.clean(text) for text in TEXTS]).ids
    ]
    rows[2] = []  # of the empty text
    for some, answers in ((rows, expected), (rows[:3], expected[:3])):
        body, headers = of_ids(some, max(map(len, rows)) + 3, binary)
        response = infer(client, body, **headers)
        assert response.status == 200 and outputs(response) == as_outputs(answers)
        assert [output["shape"] for output in response.values["outputs"]] == [
            [len(some)],
            [len(some), 3],
        ]


def changed(place: int = 0, **fields: Any) -> dict[str, Any]:
    """Ids of two texts, with other fields of one input."""
    body: dict[str, Any] = json.loads(of_ids([[1, 2, 3], [4, 5]], 3)[0])
    body["inputs"][place] |= fields
    return body


BAD_IDS: dict[str, tuple[Any, str]] = {
    "none of the vocabulary": (changed(data=[1, 2, 10**6, 4, 5, 0]), "text 0: there is no id 1000"),
    "a negative id": (changed(data=[1, 2, 3, 4, -5, 0]), "text 1: there is no id -5"),
    "more than 64 bits": (changed(data=[1, 2, 2**63, 4, 5, 0]), "whole numbers of 64 bits"),
    "a fraction": (changed(data=[1, 2, 3.0, 4, 5, 0]), "whole numbers of 64 bits"),
    "a truth": (changed(data=[1, 2, True, 4, 5, 0]), "whole numbers of 64 bits"),
    "text": (changed(data=["1", 2, 3, 4, 5, 0]), "whole numbers of 64 bits"),
    "rows of two lengths": (changed(data=[[1, 2, 3], [4, 5]]), "each row of `input_ids`"),
    "rows and numbers": (changed(data=[[1, 2, 3], 4]), "each row of `input_ids`"),
    "too few": (changed(data=[1, 2]), "has 6 numbers, its data 2"),
    "one dimension": (changed(shape=[6]), "the shape of `input_ids` is [n, t]"),
    "an endless shape": (changed(shape=[10**1700, 10**1700]), "a shape is a list of"),
    "another mask": (changed(1, shape=[3, 2]), "have one shape"),
    "padding on the left": (changed(1, data=[1, 1, 1, 0, 1, 1]), "text 1: its `attention_mask`"),
    "a mask of halves": (changed(1, data=[1, 2, 1, 1, 1, 0]), "text 0: its `attention_mask`"),
    "another datatype": (changed(datatype="INT32"), "the datatype of `input_ids` is INT64"),
    "a name that is none": (changed(name=["input_ids"]), "each input has a `name`"),
    "ids twice": (changed(1, name="input_ids"), "an input is given twice"),
    "ids without a mask": ({"inputs": changed()["inputs"][:1]}, "or `input_ids` and"),
    "texts and ids": ({"inputs": [*asked()["inputs"], *changed()["inputs"]]}, "the inputs are"),
    "beyond the positions": (json.loads(of_ids([[1] * 17], 17)[0]), "17 tokens are more than 16"),
    "no row": (json.loads(of_ids([], 3)[0]), "there is no text"),
    "an output that is a list": (changed() | {"outputs": [{"name": []}]}, "the outputs are"),
}


@pytest.mark.parametrize(("body", "reason"), BAD_IDS.values(), ids=BAD_IDS)
def test_ids_that_no_text_has_are_refused(client: Client, body: Any, reason: str) -> None:
    """With what is wrong, and where; the model, which would count negative ones from its end, is
    not asked."""
    response = infer(client, body)
    assert response.status == 400 and reason in response.values["error"]
    assert infer(client, changed()).status == 200  # the control


def test_binary_ids_are_held_against_their_shape(client: Client) -> None:
    """Eight bytes a number, of each input, and none after the last."""
    body, headers = of_ids([[1, 2, 3], [4, 5]], 3, binary=True)
    head, rest = json.loads(body[: int(headers[HEAD])]), body[int(headers[HEAD]) :]
    for sizes in ((48, 47), (48, 40), (47, 49), (96, 0), (48, 10**30), (-1, 48), (48.0, 48)):
        for tensor, size in zip(head["inputs"], sizes, strict=True):
            tensor["parameters"] = {"binary_data_size": size}
        bad = json.dumps(head).encode()
        assert infer(client, bad + rest, **{HEAD: str(len(bad))}).status == 400, sizes


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
    config = client.get("/v2/models/release/config").values
    for side, other in (("inputs", "input"), ("outputs", "output")):
        assert [(one["name"], one["shape"]) for one in about[side]] == [
            (one["name"], one["dims"]) for one in config[other]
        ]
    assert [one["name"] for one in about["inputs"]] == ["text", "input_ids", "attention_mask"]
    for path in ("/v2/models/other", "/v2/models/release/versions/1", "/v2/models/..%2f/ready"):
        assert client.get(path).status == 404
        assert isinstance(client.get(path).values["error"], str)
    assert infer(client, asked(), "other").status == 404
    for path in ("/v2/models/release/stats", "/v2/models/stats", "/v2/x"):
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
