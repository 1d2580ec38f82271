"""The document of a service that writes is true: of requests, responses and events."""

import asyncio
import json
import random
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmspec.serving import app, completing, completions
from tests import writingbundles
from tests.miniature import ROOT
from tests.servingtexts import CHAT, LIMITS, TEXTS, Client, listening, streamed, user


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writingbundles.make(tmp_path_factory.mktemp("of") / "bundle", LIMITS)


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Client]:
    """For what leaves no trace in the service."""
    made = Client(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(shared: Client) -> dict[str, Any]:
    values = shared.get(app.OPENAPI).values
    assert isinstance(values, dict)
    return values


def valid(document: dict[str, Any], schema: dict[str, Any], values: Any) -> bool:
    """Does a schema of the document accept them?"""
    validator: Any = jsonschema.Draft202012Validator(
        schema | {"components": document["components"]}
    )
    return bool(validator.is_valid(values))


def named(name: str) -> dict[str, Any]:
    """A schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def described(document: dict[str, Any], method: str, path: str, response: Any) -> bool:
    """Is a response, or each event of it, one that the document has?"""
    known = document["paths"][path][method]["responses"].get(str(response.status))
    kind = response.headers["content-type"].partition(";")[0]
    if known is None or kind not in known["content"]:
        return False
    if kind == "text/event-stream":
        part = named("chat_part" if path == CHAT else "completions_part")
        stream = streamed(response.body)
        return all(
            valid(document, named("Error") if "error" in event else part, event)
            for event in stream.events
        )
    schema = known["content"][kind]["schema"]
    return kind != "application/json" or valid(document, schema, response.values)


def test_the_document_has_every_endpoint(shared: Client, document: dict[str, Any]) -> None:
    """And no other; each answers as described."""
    paths = {TEXTS, CHAT, completions.MODELS, completions.MODEL, app.BUNDLE, app.OPENAPI}
    paths |= {app.CARD}
    paths |= {app.HEALTH, app.READY, app.METRICS}
    assert set(document["paths"]) == paths
    for path in paths - {TEXTS, CHAT}:
        response = shared.get(path.replace("{model}", "bundle"))
        assert response.status == 200 and described(document, "get", path, response), path
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**70) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
GOOD_WORDS = st.text(max_size=20) | st.sampled_from([" ", "say anna", "q w z " * 30, "\u20ac" * 67])
WORDS = GOOD_WORDS | st.sampled_from(["x" * 201]) | ANY
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": GOOD_WORDS}), max_size=2)
GOOD_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from([*completing.ROLES]), "content": GOOD_WORDS | PARTS},
    optional={"name": st.none()},
)
MESSAGE = GOOD_MESSAGE | st.fixed_dictionaries({"role": WORDS, "content": WORDS}) | ANY
LAST = st.fixed_dictionaries({"role": st.just("user"), "content": GOOD_WORDS})
CONVERSATION = st.tuples(st.lists(GOOD_MESSAGE, max_size=2), LAST).map(lambda p: [*p[0], p[1]])
BASES: dict[str, tuple[Any, Any]] = {  # endpoint -> what is good, what need not be
    TEXTS: (
        st.fixed_dictionaries(
            {"prompt": GOOD_WORDS | st.lists(GOOD_WORDS, min_size=1, max_size=3)}
        ),
        st.fixed_dictionaries({"prompt": WORDS | st.lists(WORDS, max_size=9)}),
    ),
    CHAT: (
        st.fixed_dictionaries({"messages": CONVERSATION}),
        st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=3) | ANY}),
    ),
}
SCHEMAS: list[Any] = [{}, {"type": "object"}, {"enum": [1]}, {"type": "odd"}]
FORMS: list[Any] = [{"type": "text"}, {"type": "json_object"}, {"type": "regex", "pattern": "a+"}]
FORMS += [{"type": "json_schema", "json_schema": {"schema": s, "strict": None}} for s in SCHEMAS]
GOOD: dict[str, list[Any]] = {
    "model": ["bundle", None],
    "max_tokens": [1, 2.0, 3, 2**31 - 1, None],
    "temperature": [0, 0.5, 2, 100, None],
    "top_p": [1, 0.5, None],
    "top_k": [1, 5],
    "min_p": [0, 0.1, 1],
    "seed": [0, 5.0, 2**64 - 1],
    "repetition_penalty": [1, 1.2],
    "stop": [None, "a", [], ["a", "b"]],
    "stream": [True, False, None],
    "response_format": [*FORMS, None],
    "n": [1, 1.0, None],
    "user": ["", "me"],
    "logit_bias": [{}, None],
    "logprobs": [None],
}
FAULTY: dict[str, list[Any]] = {
    "model": ["other", 1],
    "max_tokens": [0, 1.5, 2**31, "1"],
    "temperature": [101, -1, True],
    "top_p": [0, 1.1],
    "top_k": [0, True],
    "min_p": [-1, 1.1],
    "seed": [-1, 2**64, 0.5],
    "repetition_penalty": [0, 101],
    "stop": ["", ["a", ""], ["a"] * 17, 1],
    "stream": ["true", 1],
    "stream_options": [{}, {"include_usage": True}, {"more": 1}, {"include_usage": None}, []],
    "response_format": [{"type": "regex"}, {"type": "text", "more": 1}, "text"],
    "n": [2, True, 0],
    "user": [1],
    "logit_bias": [{"1": 2}, []],
    "logprobs": [True, False, 1],
    "echo": [False, True, 0],
    "best_of": [1, 2],
    "suffix": [None, "x"],
    "top_logprobs": [0, 1],
    "max_completion_tokens": [1, 0],
    "more": [None, 1],
}


@st.composite
def bodies(draw: Any) -> tuple[str, Any]:
    """An endpoint and a body: good as a whole, or with what need not be."""
    path = draw(st.sampled_from([TEXTS, CHAT]))
    is_good = draw(st.sampled_from([True, True, True, False]))
    values = draw(BASES[path][0 if is_good else 1])
    values["max_tokens"] = draw(st.sampled_from([1, 3]))
    for name in draw(st.lists(st.sampled_from([*GOOD]), max_size=4, unique=True)):
        values[name] = draw(st.sampled_from(GOOD[name]))
    for name in draw(st.lists(st.sampled_from([*FAULTY]), max_size=1)):
        values[name] = draw(st.sampled_from(FAULTY[name]))
    if draw(st.booleans()):
        values["stream"] = True
        values["stream_options"] = draw(st.sampled_from([None, {}, {"include_usage": True}]))
    return path, values


def test_each_value_of_a_field_is_as_the_document_has_it(
    shared: Client, document: dict[str, Any]
) -> None:
    """The control: where a schema says less than the service asks for, it is found."""
    tried: list[tuple[str, str, dict[str, Any], bool]] = []
    bases = {TEXTS: {"prompt": "x"}, CHAT: {"messages": user("x")}}
    for path, base in bases.items():
        for name, value in [(n, v) for some in (GOOD, FAULTY) for n in some for v in some[n]]:
            body = {**base, "max_tokens": 2, name: value}
            body |= {} if name not in ("top_p", "min_p", "top_k") else {"temperature": 1}
            response = shared.post(path, body)
            assert described(document, "post", path, response)
            taken = response.status == 200 or response.code == "constraint"
            tried.append((path, name, body, taken))

    def contradicted(known: dict[str, Any]) -> set[str]:
        found = set()
        for path, name, body, taken in tried:
            kind = "chat" if path == CHAT else "completions"
            if valid(known, named(f"{kind}_request"), body) != taken:
                found.add(name)
        return found

    assert contradicted(document) == set()
    for name in [n for n in FAULTY if n not in ("more", "echo", "best_of", "suffix")]:
        untrue = json.loads(json.dumps(document))
        for kind in ("chat_request", "completions_request"):
            untrue["components"]["schemas"][kind]["properties"][name] = {}
            if name == "stream_options":
                del untrue["components"]["schemas"][kind]["if"]
        assert name in contradicted(untrue), name


BESIDE_THE_SCHEMA = {"text_too_long", "empty_text", "context_length_exceeded", "constraint"}


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(bodies() | st.tuples(st.sampled_from([TEXTS, CHAT]), ANY))
def test_the_document_is_true(
    shared: Client, document: dict[str, Any], asked: tuple[str, Any]
) -> None:
    """What its schema of a request accepts is written for, or refused for what no schema can say;
    anything else is refused; and each response, and each event, is described."""
    path, values = asked
    body = json.dumps(values).encode()
    if len(body) > LIMITS["max_body_bytes"]:
        return
    response = shared.post(path, body)
    assert described(document, "post", path, response), response
    kind = "chat" if path == CHAT else "completions"
    if not valid(document, named(f"{kind}_request"), values):
        assert response.status in (400, 404, 422), response
    elif response.status != 200:
        message = response.values["error"]["message"]
        beside = "is of draws" in message or "last message" in message or "deep" in message
        assert response.code in BESIDE_THE_SCHEMA or beside, response


def test_no_body_is_a_fault(shared: Client, document: dict[str, Any]) -> None:
    """Bytes that are changed, cut and repeated: each is answered, or refused as described."""
    draw, statuses = random.Random(3), set()
    good: list[Any] = [{"prompt": ["x", "y"], "stop": ["a"], "temperature": 0.5, "seed": 7}]
    good += [{"messages": user("x"), "stream": True, "response_format": FORMS[2]}]
    good += [{"messages": user("x"), "response_format": FORMS[-2], "top_p": 0.5}]
    for number in range(400):
        body = bytearray(json.dumps(good[number % 3] | {"max_tokens": 2}).encode())
        for _ in range(draw.randint(0, 3)):
            start = draw.randrange(len(body))
            part = body[start : start + draw.randint(1, 9)]
            odd = [b"", b"[", b'"', b"\\ud83d", b"1e999", b"-", b"\xff", b"null", part * 2]
            body[start : start + draw.choice((0, 1, len(part)))] = draw.choice(odd)
        path = TEXTS if number % 3 == 0 else CHAT
        response = shared.post(path, bytes(body))
        assert response.status < 500 and described(document, "post", path, response), body
        statuses.add(response.status)
    assert statuses == {200, 400}


def test_the_examples_of_the_page_are_true(folder: Path) -> None:
    """Each `$ curl` of docs/serving-texts.md has a response of the fields beneath it."""
    page = (ROOT / "docs/serving-texts.md").read_text()
    examples = re.findall(r"^\$ (curl .*)\n(\{.*\})$", page, re.M)
    assert len(examples) == 2

    async def ask() -> None:
        async with listening(Client(folder)) as (url, _):
            for command, shown in examples:
                words = shlex.split(command.replace("http://127.0.0.1:8000", url))
                pipe = asyncio.subprocess.PIPE
                curl = await asyncio.create_subprocess_exec(*words, "-sS", stdout=pipe)
                output, _ = await curl.communicate()
                assert fields(json.loads(output)) == fields(json.loads(shown)), command

    asyncio.run(ask())


def fields(values: Any) -> Any:
    """The names of fields, at each depth."""
    if isinstance(values, list):
        return [fields(one) for one in values]
    return {n: fields(v) for n, v in values.items()} if isinstance(values, dict) else None
