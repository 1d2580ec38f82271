"""A service answers as predict.py does, refuses by its limits, and is as its document has it."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from lmspec.errors import LmspecError
from lmspec.formats.predict import Classifier
from lmspec.serving import app, bodies, opening, reloading
from lmspec.serving.keys import Keys
from lmspec.serving.limits import Limits
from lmspec.serving.service import Answered, Given
from lmspec.serving.waiting import Job
from lmspec.specs.serving import Serving
from tests import bundles, miniature
from tests.serving import Client, Response
from tests.test_predict import ODD

LIMITS = {"max_text_bytes": 200, "max_texts": 8, "max_body_bytes": 4000, "queue": 16}
LIMITS |= {"timeout_ms": 20_000, "drain_seconds": 30}
FUZZED = 1500
TEXTS = [text for _, text, _ in miniature.sentences("")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bundle")
    return bundles.make(made, LIMITS | {"empty_text": "no_answer"}, int8=True)


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Client]:
    """For what leaves no trace in the service."""
    made = Client(folder)
    yield made
    made.close()


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    """Of one test alone."""
    made = Client(folder)
    yield made
    made.close()


# --- answers ---


def test_answers_are_those_of_predict_py(folder: Path) -> None:
    """Bit for bit, whatever else is asked at the same time: one text and lists, of any length.

    The control: texts of a batch change each other's answers.
    """
    classifier = Classifier(folder)
    draw = random.Random(1)
    texts = [*ODD, "a \ud83d b", *TEXTS, *(" ".join(draw.sample(TEXTS, 3)) for _ in range(30))]
    texts = [text for text in texts if len(text.encode("utf-8", "surrogatepass")) <= 200]
    each = {text: classifier.predict(text) for text in texts}
    requests = [draw.sample(texts, draw.randint(1, 8)) for _ in range(60)]
    client = Client(folder, threads=4)
    client.service.current.line.most = 1000

    async def ask() -> list[Response]:
        asked = [{"texts": some} if len(some) > 1 else {"text": some[0]} for some in requests]
        return await asyncio.gather(*(client.classify(values) for values in asked))

    for some, response in zip(requests, asyncio.run(ask()), strict=True):
        assert response.status == 200
        got = [answer["probabilities"] for answer in response.values["answers"]]
        assert got == [each[text] for text in some]
        assert [list(one) for one in got] == [list(each[text]) for text in some]
        for answer in response.values["answers"]:
            best = next(iter(answer["probabilities"].items()), (None, None))
            assert (answer["label"], answer["confidence"]) == best
    client.close()
    good = [text for text in texts if each[text]]
    assert classifier.predict_many(good, batch_size=8) != [each[text] for text in good]


def test_top_and_ids(shared: Client) -> None:
    """So many labels; ids come back with request and text, and one is made where there is none."""
    given_ = {"texts": ["the film", {"text": "a bore", "id": "b:1"}], "top": 2, "id": "x/1"}
    response = shared.post(given_)
    assert response.headers["x-request-id"] == response.values["id"] == "x/1"
    one, other = response.values["answers"]
    assert "id" not in one and other["id"] == "b:1" and len(one["probabilities"]) == 2
    assert shared.post({"text": "x"}, x_request_id="mine").values["id"] == "mine"
    made = [shared.post({"text": "x"}, x_request_id="a b\x7f").values["id"] for _ in range(2)]
    assert len(set(made)) == 2 and all(len(one) == 16 for one in made)
    assert shared.post({"text": "x", "top": 3.0}).values == {
        **shared.post({"text": "x", "id": "y"}).values,
        "id": shared.log[-2]["id"],
    }


@pytest.mark.parametrize("empty", ["", " \t\r\n ", "\x1b\x00", "\u3000"])
def test_an_empty_text_gets_what_the_spec_has(
    shared: Client, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    """No answer, or an error; never a label."""
    nothing = {"label": None, "confidence": None, "probabilities": {}}
    assert shared.post({"text": empty}).values["answers"] == [nothing]
    refusing = Limits(**LIMITS, empty_text="refused")
    monkeypatch.setitem(vars(shared.service.current.bundle), "limits", refusing)
    response = shared.post({"text": empty})
    assert (response.status, response.code) == (400, "empty_text")
    first, second = shared.post({"texts": [empty, "fine"]}).values["answers"]
    assert first["error"]["code"] == "empty_text" and second["label"] in bundles.LABELS


def test_a_bad_text_of_a_list_fails_alone(shared: Client) -> None:
    """The others are answered as they are alone; the only text of a request fails with it."""
    bad: list[Any] = ["x" * 201, "\u20ac" * 67, 4, None, ["x"], {"text": 1, "id": "t"}, {"id": "u"}]
    codes = ["text_too_long", "text_too_long", *["no_text"] * 5]
    alone = shared.post({"text": "the film"}).values["answers"]
    for one, code in zip(bad, codes, strict=True):
        answers = shared.post({"texts": ["the film", one, "the film"]}).values["answers"]
        assert answers[0] == answers[2] == alone[0] and answers[1]["error"]["code"] == code
        if not isinstance(one, dict):
            refused = shared.post({"text": one})
            assert refused.code == code
            assert refused.status == (422 if code == "text_too_long" else 400)
    assert shared.post({"texts": [5]}).status == 200
    assert shared.post({"text": "\u20ac" * 66}).status == 200  # 198 bytes


# --- what is refused ---

MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no UTF-8": b'{"text": "caf\xe9"}',
    "UTF-16": '{"text": "x"}'.encode("utf-16"),
    "a list": b"[]",
    "a number": b"1",
    "half": b'{"text": "x"',
    "two": b'{"text": "x"}{}',
    "no text": b"{}",
    "no texts": b'{"texts": []}',
    "texts that are one": b'{"texts": "x"}',
    "both": b'{"text": "x", "texts": ["x"]}',
    "a field twice": b'{"text": "x", "text": "y"}',
    "an unknown field": b'{"text": "x", "tops": 1}',
    "no number": b'{"text": "x", "top": NaN}',
    "top 0": b'{"text": "x", "top": 0}',
    "top true": b'{"text": "x", "top": true}',
    "top a half": b'{"text": "x", "top": 1.5}',
    "top infinite": b'{"text": "x", "top": 1e999}',
    "top endless": b'{"text": "x", "top": ' + b"1" * 3900 + b"}",
    "top null": b'{"text": "x", "top": null}',
    "an id with a line break": b'{"text": "x", "id": "a\\n"}',
    "an id that commands": b'{"text": "x", "id": "##vso[x]"}',
    "half an id": b'{"text": "x", "id": "\\ud800"}',
    "brackets": b"[" * 3900,
    "braces": b'{"a":' * 780,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_is_refused(shared: Client, body: bytes) -> None:
    """With 400, a code and a sentence; nothing is computed."""
    response = shared.post(body)
    assert (response.status, response.code) == (400, "malformed")
    assert response.values["error"]["message"] and response.headers["content-type"] == (
        "application/json"
    )


def test_any_bytes_are_answered_or_refused(shared: Client) -> None:
    """Never a fault: bodies that were good, with bytes that are flipped, lost, doubled or moved."""
    draw = random.Random(3)
    seeds = [*MALFORMED.values(), b'{"texts": ["a", {"text": "\\u00e9", "id": "b"}], "top": 2}']

    def mutated() -> bytes:
        body = bytearray(draw.choice(seeds)[:300])
        for _ in range(draw.randint(1, 6)):
            place, end = (draw.randrange(len(body) + 1) for _ in range(2))
            match draw.randrange(4):
                case 0:
                    body[place : place + 1] = bytes([draw.randrange(256)])
                case 1:
                    del body[place:end]
                case 2:
                    body[place:place] = body[place:end]
                case _:
                    body[place:place] = draw.choice((b"\\ud800", b'"', b"{", b"[", b"\x00", b"1e9"))
        return bytes(body[:3000])

    async def ask() -> set[int]:
        return {(await shared.classify(mutated())).status for _ in range(FUZZED)}

    assert asyncio.run(ask()) <= {200, 400, 422}


def test_a_nested_body_is_refused_whatever_its_limit(folder: Path) -> None:
    """A megabyte of brackets."""
    from lmspec.serving import asking

    for body in (b"[" * 2**20, b'{"a":' * 200_000, b'{"texts":' + b"[" * 99_999):
        with pytest.raises(asking.Refused) as refused:
            asking.asked(body, Limits())
        assert refused.value.code == "malformed"


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"]
)
def test_only_json_is_taken(shared: Client, kind: str) -> None:
    """A form of another web page cannot send it; nor is anything inflated."""
    response = shared.post({"text": "x"}, content_type=kind)
    assert (response.status, response.code) == (415, "not_json")
    assert response.headers["connection"] == "close"
    assert shared.post({"text": "x"}, content_encoding="gzip").code == "encoded"
    for good in ("application/json", 'Application/JSON; charset="UTF-8"'):
        assert shared.post({"text": "x"}, content_type=good).status == 200


def test_long_lists_and_bodies_are_refused(shared: Client) -> None:
    """By their length if it is given; else as soon as there are too many bytes."""
    assert shared.post({"texts": ["x"] * 8}).status == 200
    refused = shared.post({"texts": ["x"] * 9})
    assert (refused.status, refused.code) == (422, "too_many_texts")
    refused = shared.post({"text": "x"}, content_length="4001")
    assert (refused.status, refused.code) == (413, "body_too_large")
    assert refused.headers["connection"] == "close"
    assert shared.post({"text": "x"}, content_length="9" * 5000).code == "body_too_large"
    headers = {"content-type": "application/json"}
    parts = [b" " * 1000] * 100
    refused = asyncio.run(shared.ask("POST", app.CLASSIFY, parts, headers))
    assert (refused.status, refused.code) == (413, "body_too_large")


def test_other_paths_and_methods_are_refused(shared: Client) -> None:
    """In JSON, too; the log has no path that a client chose."""
    for path in (
        "/static/",
        "/static/../app.py",
        "/v1/classify/",
        "/v1/../etc",
        "/%2e%2e/x\n",
        "/v1/classify\x00",
    ):
        response = shared.get(path)
        assert (response.status, response.code) == (404, "no_endpoint")
        assert shared.log[-1]["endpoint"] == "other"
    response = shared.get(app.CLASSIFY)
    assert (response.status, response.code, response.headers["allow"]) == (405, "no_method", "POST")


# --- under load ---


class Gate:
    """Texts wait in the threads until it is opened."""

    def __init__(self, client: Client) -> None:
        self.open, self.entered = threading.Event(), threading.Semaphore(0)
        client.service.current.quick = False  # the event loop must not wait
        inner = client.service.current.line._compute
        client.service.current.line._compute = lambda text: self._compute(inner, text)

    def _compute(self, inner: Callable[[str], Answered], text: str) -> Answered:
        self.entered.release()
        assert self.open.wait(20)
        if text == "fail":
            raise RuntimeError("secret text")
        return inner(text)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


def test_with_keys_only_their_holders_are_answered(folder: Path, document: dict[str, Any]) -> None:
    """On every path but those of health; the body is not read before."""
    client = Client(folder, keys=Keys(["a" * 16, "b" * 20]))
    bad = ["", "Bearer", "Bearer ", f"Basic {'a' * 16}", f"Bearer {'a' * 15}", f"Bearer {'c' * 16}"]
    for given_ in [*bad, f"Bearer {'a' * 16} {'b' * 20}", "Bearer \u00e9"]:
        response = client.post({"text": "x"}, authorization=given_)
        assert (response.status, response.code) == (401, "no_key"), given_
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["connection"] == "close"
    for key in ("a" * 16, "b" * 20):
        assert client.post({"text": "x"}, authorization=f"Bearer {key}").status == 200
        assert client.post({"text": "x"}, authorization=f"bearer  {key} ").status == 200
        assert key not in json.dumps(client.log)
    about = client.get(app.OPENAPI, authorization=f"Bearer {'a' * 16}").values
    assert about["security"] == [{"key": []}] and "security" not in document
    for path in set(about["paths"]) - {app.CLASSIFY}:
        open_ = path in (app.HEALTH, app.READY)
        assert client.get(path).status == (200 if open_ else 401)
        assert described(about, "get", path, client.get(path))
    client.close()


def test_one_text_and_a_list_are_shed_alike(client: Client) -> None:
    """At once, with Retry-After, by the number of texts; what was taken is answered."""
    gate, line = Gate(client), client.service.current.line

    async def load() -> tuple[list[Response], list[Response]]:
        taken = []
        for number, waiting in ((8, 6), (8, 14), (2, 16)):  # and 2 are in the threads
            taken.append(asyncio.create_task(client.classify({"texts": ["x"] * number})))
            await until(lambda waiting=waiting: line.waiting == waiting)  # type: ignore[misc]
        shed = [await client.classify(v) for v in ({"text": "x"}, {"texts": ["x"] * 2})]
        gate.open.set()
        return [await one for one in taken], shed

    taken, shed = asyncio.run(load())
    assert [len(one.values["answers"]) for one in taken] == [8, 8, 2]
    for response in shed:
        assert (response.status, response.code) == (503, "busy")
        assert response.headers["retry-after"] == "1"
    assert line.waiting == 0 and client.post({"texts": ["x"] * 8}).status == 200
    assert all(entry["ms"] < 1000 for entry in client.log if entry["status"] == 503)


def test_a_request_that_takes_too_long_leaves_the_line(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """504; its texts make room for others, which are answered."""
    gate, service = Gate(client), client.service
    limits = Limits(**{**LIMITS, "timeout_ms": 50}, empty_text="no_answer")
    monkeypatch.setitem(vars(service.current.bundle), "limits", limits)
    ended = client.post({"texts": ["x"] * 8})
    assert (ended.status, ended.code) == (504, "timeout") and service.current.line.waiting == 0
    monkeypatch.undo()
    gate.open.set()
    assert client.post({"texts": ["x"] * 8}).status == 200


def test_a_text_that_cannot_be_computed_fails_alone(client: Client) -> None:
    """500 if it is the only one; threads go on, and what it raised is not in the log."""
    Gate(client).open.set()
    first, failed, last = client.post({"texts": ["x", "fail", "x"]}).values["answers"]
    assert first == last and failed["error"]["code"] == "failed"
    response = client.post({"text": "fail"})
    assert (response.status, response.code) == (500, "failed")
    assert all(client.post({"text": "x"}).status == 200 for _ in range(3))
    assert "secret" not in json.dumps(client.log)
    assert [entry["error"] for entry in client.log if entry["event"] == "failed"] == (
        ["RuntimeError"] * 2
    )


def test_requests_take_turns(folder: Path) -> None:
    """One text does not wait for the list that came before it."""
    client = Client(folder, threads=1)
    gate = Gate(client)

    async def order() -> list[str]:
        done: list[str] = []

        async def ask(name: str, values: Any) -> None:
            await client.classify(values)
            done.append(name)

        tasks = [asyncio.create_task(ask("list", {"texts": ["x"] * 8}))]
        await until(lambda: client.service.current.line.waiting == 7)
        tasks.append(asyncio.create_task(ask("one", {"text": "y"})))
        await until(lambda: client.service.current.line.waiting == 8)
        gate.open.set()
        await asyncio.gather(*tasks)
        return done

    assert asyncio.run(order()) == ["one", "list"]
    client.close()


def test_bodies_that_fill_the_memory_are_shed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of all requests together; without a length a body counts as the longest."""
    gate = Gate(client)
    monkeypatch.setattr(bodies, "MOST_HELD_BYTES", 5000)

    async def load() -> tuple[Response, Response, Response]:
        first = asyncio.create_task(client.classify({"text": "x"}))  # without a length
        await until(lambda: gate.entered.acquire(blocking=False))
        small = asyncio.create_task(client.classify({"text": "x"}, content_length="13"))
        await until(lambda: gate.entered.acquire(blocking=False))
        large = await client.classify({"text": "x"}, content_length="3000")
        gate.open.set()
        return await first, await small, large

    first, small, large = asyncio.run(load())
    assert (first.status, small.status) == (200, 200)
    assert (large.status, large.code) == (503, "busy") and large.headers["connection"] == "close"
    assert client.post({"text": "x"}).status == 200


def test_another_bundle_takes_over(client: Client, tmp_path: Path) -> None:
    """At once for new requests; those that wait are answered by the one that they came to.

    A bundle that is refused changes nothing, and is tried again.
    """
    other = opening.opened(bundles.make(tmp_path))
    gate, former = Gate(client), client.service.current
    results = [LmspecError("x", "it is damaged", "y"), Given(other, "c" * 40)]

    def reopen() -> Given:
        result = results.pop(0)
        if isinstance(result, LmspecError):
            raise result
        return result

    async def load() -> tuple[Response, Response]:
        reload = reloading.Reloading(client.service, reopen)
        first = asyncio.create_task(client.classify({"texts": ["the film"] * 8}))
        await until(lambda: former.line.waiting == 6)
        reload.ask()
        await until(lambda: bool(client.log))
        assert client.service.current is former
        reload.ask()
        await until(lambda: client.service.current is not former)
        second = await client.classify({"text": "the film"})
        assert not first.done()
        gate.open.set()
        await reload.finished()
        return await first, second

    first, second = asyncio.run(load())
    assert [one.values["bundle"] for one in (first, second)] == [
        former.digest,
        other.manifest.digest,
    ]
    assert second.values["answers"][0] == answer(other.classifier.predict("the film"))
    assert first.values["answers"] == [answer(former.bundle.classifier.predict("the film"))] * 8
    assert not former.line.put(Job(["x"], print))  # its threads have ended
    events = [entry["event"] for entry in client.log]
    assert events[0] == "reload refused" and "it is damaged" in client.log[0]["error"]
    assert "reloaded" in events and client.get(app.BUNDLE).values["commit"] == "c" * 40
    assert client.get(app.OPENAPI).values["info"]["title"] == "Good or bad"
    shown = client.get(app.METRICS).body.decode()
    assert other.manifest.digest in shown and former.digest not in shown
    for result in ("done", "refused"):
        assert f'lmspec_reloads_total{{result="{result}"}} 1.0' in shown


def answer(probabilities: dict[str, float]) -> dict[str, Any]:
    """As the service shows it."""
    label, confidence = next(iter(probabilities.items()))
    return {"label": label, "confidence": confidence, "probabilities": probabilities}


def test_a_service_that_drains_still_answers(client: Client) -> None:
    """But asks for no more requests, and for no more on a connection."""
    assert client.get(app.READY).status == 200
    client.service.draining = True
    response = client.get(app.READY)
    assert (response.status, response.values) == (503, {"status": "draining"})
    answered = client.post({"text": "the film"})
    assert answered.status == 200 and answered.headers["connection"] == "close"
    assert client.get(app.HEALTH).status == 200


# --- what is seen of it ---


def test_the_log_holds_no_texts(client: Client) -> None:
    """One line for each request; also of those that are refused. Answers are not in it either."""
    client.post({"texts": ["wonderful", "x" * 201], "id": "me"})
    client.post({"text": "wonderful", "wonderful": 1})
    client.post(b"wonderful")
    assert [entry["status"] for entry in client.log] == [200, 400, 400]
    first = client.log[0]
    assert (first["id"], first["texts"], first["endpoint"]) == ("me", 2, app.CLASSIFY)
    assert first["ms"] >= first["queue_ms"] >= 0
    shown = json.dumps(client.log)
    assert "wonderful" not in shown and not [label for label in bundles.LABELS if label in shown]


def test_metrics_count_what_happened(client: Client) -> None:
    """As Prometheus parses them."""
    answers = client.post({"texts": ["the film", " ", "x" * 201, 5]}).values["answers"]
    client.post(b"{")
    shown = client.get(app.METRICS)
    assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(shown.body.decode())
    samples = {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}
    status = "lmspec_requests_total", ("endpoint", app.CLASSIFY)
    assert samples[*status, ("status", "200")] == samples[*status, ("status", "400")] == 1
    for result in ("answered", "empty", "text_too_long", "no_text"):
        assert samples["lmspec_texts_total", ("result", result)] == 1
    by_label = {
        label: samples["lmspec_answers_total", ("label", label)] for label in bundles.LABELS
    }
    assert by_label == {label: float(label == answers[0]["label"]) for label in bundles.LABELS}
    assert samples["lmspec_confidence_count",] == 1 and samples["lmspec_queue_texts",] == 0
    assert samples["lmspec_tokens_total",] > 1


def test_the_bundle_is_described(shared: Client) -> None:
    """With the digest that each answer has."""
    about = shared.get(app.BUNDLE).values
    assert about["labels"] == bundles.LABELS and about["made_from"] == bundles.MADE_FROM
    assert about["limits"] == LIMITS | {"empty_text": "no_answer"}
    assert about["digest"] == shared.post({"text": "x"}).values["bundle"]
    assert set(about["limits"]) == set(Serving.model_fields)


# --- the document ---


@pytest.fixture(scope="module")
def document(shared: Client) -> dict[str, Any]:
    values = shared.get(app.OPENAPI).values
    assert isinstance(values, dict)
    return values


def valid(document: dict[str, Any], name: str, values: Any) -> bool:
    """Does a schema of the document accept them?"""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    validator: Any = jsonschema.Draft202012Validator(schema)
    return bool(validator.is_valid(values))


def described(document: dict[str, Any], method: str, path: str, response: Response) -> bool:
    """Is a response one that the document has?"""
    known = document["paths"][path][method]["responses"].get(str(response.status))
    if known is None:
        return False
    (kind, content) = next(iter(known["content"].items()))
    if not response.headers["content-type"].startswith(kind) or kind != "application/json":
        return response.headers["content-type"].startswith(kind)
    schema = content["schema"] | {"components": document["components"]}
    validator: Any = jsonschema.Draft202012Validator(schema)
    return bool(validator.is_valid(response.values))


def test_the_document_has_every_endpoint(shared: Client, document: dict[str, Any]) -> None:
    """And no other; each answers as described."""
    paths = {getattr(app, name) for name in dir(app) if name in NAMES}
    assert set(document["paths"]) == paths
    for path in paths - {app.CLASSIFY}:
        assert described(document, "get", path, shared.get(path)), path
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


NAMES = ("CLASSIFY", "BUNDLE", "CARD", "OPENAPI", "HEALTH", "READY", "METRICS")
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
WORDS = st.text(max_size=70) | st.sampled_from([*ODD, "x" * 201])
ELEMENT = WORDS | st.fixed_dictionaries({"text": WORDS}, optional={"id": st.text(max_size=3)}) | ANY
IDS = st.text("a.\n /-", min_size=1, max_size=4) | st.sampled_from(["a" * 128, "a" * 129])
BODY = st.fixed_dictionaries(
    {},
    optional={
        "text": WORDS | ANY,
        "texts": st.lists(ELEMENT, max_size=9) | ANY,
        "top": st.integers(-1, 5) | st.sampled_from([2.0, 2.5, 10**5, 10**5 + 1]) | ANY,
        "id": IDS | ANY,
        "more": ANY,
    },
)
GOOD = st.fixed_dictionaries({"text": WORDS}, optional={"top": st.integers(1, 5), "id": IDS})


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(BODY | GOOD | st.fixed_dictionaries({"texts": st.lists(ELEMENT, max_size=9)}) | ANY)
def test_the_document_is_true(shared: Client, document: dict[str, Any], values: Any) -> None:
    """What its schema of a request accepts is taken, or a text is too long in bytes; anything else
    is refused; and each response is described."""
    body = json.dumps(values).encode()
    if len(body) > LIMITS["max_body_bytes"]:
        return
    response = shared.post(body)
    assert described(document, "post", app.CLASSIFY, response), response
    if valid(document, "Request", values):
        assert response.status == 200 or response.code == "text_too_long"
    else:
        assert response.status in (400, 422)
