"""A service that writes gives the texts of predict.py, whole or streamed, alone or among others."""

import asyncio
import dataclasses
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmspec.formats.predict_writing import Settings, Writer
from lmspec.serving import app, completing
from lmspec.serving.limits import Limits
from lmspec.writing import growing
from lmspec.writing.sampling import Sampling
from tests import writingbundles
from tests.servingtexts import CHAT, LIMITS, TEXTS, Client, Gate, streamed, user
from tests.tinywriter import PAIR, pairs

SIGNS = "(ä|€|🙂|b|\\n){20}"  # characters of one to four bytes, each of its own tokens
PROMPTS = [content for row in pairs()[:12] for _, content in row[:1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writingbundles.make(tmp_path_factory.mktemp("of") / "bundle", LIMITS)


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Client]:
    """For what leaves no trace in the service."""
    made = Client(folder)
    yield made
    made.close()


# --- texts ---

WAYS: list[tuple[dict[str, Any], dict[str, Any]]] = [  # fields, and settings of predict.py
    ({}, {}),
    ({"max_tokens": 40}, {"new_tokens": 40}),
    ({"temperature": 0, "top_p": 0.5, "seed": 9}, {}),
    ({"temperature": 0.9, "seed": 7}, {"sampling": Sampling(0.9, seed=7)}),
    (
        {"temperature": 1.5, "top_p": 0.9, "top_k": 40, "min_p": 0.01, "seed": 3},
        {"sampling": Sampling(1.5, 0.9, 40, 0.01, 3)},
    ),
    ({"stop": ["e", "zz"], "repetition_penalty": 1.3}, {"stop": ("e", "zz"), "penalty": 1.3}),
]


def test_texts_are_those_of_predict_py(folder: Path) -> None:
    """Greedy and drawn, of one prompt and of lists, whole and streamed, all at the same time.

    The control: a decoder whose rows change each other's logits.
    """
    writer, draw = Writer(folder), random.Random(1)
    truth = {
        (prompt, way): writer.write_many(
            [prompt], settings=dataclasses.replace(writer.settings, **WAYS[way][1])
        )[0]
        for prompt in PROMPTS
        for way in range(len(WAYS))
    }
    asked: list[tuple[list[str], int, bool]] = [
        (draw.sample(PROMPTS, draw.choice((1, 1, 3))), draw.randrange(len(WAYS)), bool(number % 2))
        for number in range(60)
    ]

    def differences(client: Client) -> int:
        """How many texts are not what they should be."""
        client.service.current.line.most = 1000
        wrong = 0
        for (some, way, stream), body in zip(asked, asyncio.run(ask(client)), strict=True):
            for number, prompt in enumerate(some):
                one = truth[prompt, way]
                assert one is not None
                reason = "stop" if one.stopped in ("end", "stop") else "length"
                if stream:
                    events = streamed(body)
                    got = events.text(number), events.reasons()[number]
                else:
                    choice = json.loads(body)["choices"][number]
                    got = choice["text"], choice["finish_reason"]
                wrong += got != (one.text, reason)
        return wrong

    async def ask(client: Client) -> list[bytes]:
        def fields(some: list[str], way: int, stream: bool) -> dict[str, Any]:
            prompt = some[0] if len(some) == 1 else some
            return {"prompt": prompt, "stream": stream, **WAYS[way][0]}

        sending = [client.send(TEXTS, fields(*one)) for one in asked]
        return [response.body for response in await asyncio.gather(*sending)]

    client = Client(folder)
    gate = Gate(client)
    gate.open()
    assert differences(client) == 0
    assert max(gate.companies) == 4 and sum(gate.companies) > 2 * len(gate.companies)
    step = client.writer.decoder.step

    def crowded(pasts: Sequence[Any], tokens: Any) -> Any:
        new, logits = step(pasts, tokens)
        rise = np.linspace(0, 1, logits.shape[1], dtype=np.float32)
        return new, logits + 0.3 * (len(pasts) - 1) * rise

    client.writer.decoder.step = crowded
    assert differences(client) > 5
    client.close()


def test_a_conversation_is_answered_as_predict_py_does(shared: Client, folder: Path) -> None:
    """All turns before; texts in parts, `developer`, and what a client got as an answer."""
    writer = Writer(folder)
    talk = [{"role": "system", "content": "short"}, *user("say anna")]
    talk += [{"role": "assistant", "content": "anna"}, *user("say ben")]
    sent: list[dict[str, Any]] = [dict(one) for one in talk]
    sent[0]["role"] = "developer"
    sent[1]["content"] = [{"type": "text", "text": "say "}, {"type": "text", "text": "anna"}]
    sent[2] |= {"refusal": None, "tool_calls": None}
    assert shared.text(CHAT, {"messages": sent}) == writer.chat(talk)
    assert shared.text(CHAT, {"messages": talk[1:]}) == writer.chat(talk[1:]) != writer.chat(talk)
    stream = shared.stream(CHAT, {"messages": talk})
    assert stream.text() == writer.chat(talk) and stream.done
    assert stream.events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert stream.events[-1]["choices"][0]["delta"] == {}
    assert [len(each["choices"]) for each in stream.events] == [1] * len(stream.events)


@pytest.mark.parametrize("stop", [[], ["🙂€", "\n\n", "bbb"], ["ä"]])
def test_a_stream_never_takes_anything_back(shared: Client, stop: list[str]) -> None:
    """Its pieces together are the whole text; none is half a character, or of a stop string."""
    form = {"type": "regex", "pattern": SIGNS}
    pieces = 0
    for prompt in PROMPTS[:6]:
        asked = {"prompt": prompt, "response_format": form, "stop": stop, "max_tokens": 70}
        asked |= {"temperature": 3.0, "seed": 5}
        stream = shared.stream(TEXTS, asked)
        text = shared.text(TEXTS, asked)
        assert stream.text() == text and "\ufffd" not in text
        assert not [one for one in stop if one in text]
        pieces += len([piece for piece in stream.pieces() if piece])
        assert stream.done and all(stream.pieces()[:-1])
    assert pieces > (30 if "ä" not in stop else 5)


def test_a_stream_that_shows_the_beginning_of_a_stop_string_is_found(
    shared: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without holding anything back, pieces are not the text that predict.py has."""
    form = {"type": "regex", "pattern": "(ab){9}cd"}
    asked = {"prompt": "x", "response_format": form, "stop": ["cd"], "max_tokens": 60}
    assert shared.stream(TEXTS, asked).text() == "ab" * 9
    monkeypatch.setattr(growing.GrowingText, "_begun", lambda self, text: 0)
    assert shared.stream(TEXTS, asked).text() == "ab" * 9 + "cd"


def test_a_text_is_held_to_a_form(shared: Client) -> None:
    """JSON of a schema, any JSON object, a regular expression; `text` takes the bundle's away."""
    schema = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "required": ["n"]}
    schema |= {"additionalProperties": False}
    named = {"name": "n", "schema": schema, "strict": True}
    form = {"type": "json_schema", "json_schema": named}
    asked = {"messages": user("x"), "response_format": form, "max_tokens": 60}
    assert json.loads(shared.text(CHAT, asked)) in ({"n": 1}, {"n": 22})
    asked |= {"response_format": {"type": "regex", "pattern": "(abc|xyz)"}}
    assert shared.text(CHAT, asked) in ("abc", "xyz")
    asked |= {"response_format": {"type": "json_object"}}
    assert shared.text(CHAT, asked).startswith("{")
    free = {"messages": user("x"), "response_format": {"type": "text"}}
    assert shared.text(CHAT, free) == shared.text(CHAT, {"messages": user("x")})


def test_tokens_are_counted(shared: Client, folder: Path) -> None:
    """Those of the template, too; of the text with its end. At the end of a stream if asked for."""
    writer = Writer(folder)
    one = writer.write_many(["say anna"])[0]
    ids = writer.ids("say anna")
    assert one is not None and ids is not None
    usage = {"prompt_tokens": len(ids), "completion_tokens": len(one.ids)}
    usage |= {"total_tokens": len(ids) + len(one.ids)}
    assert shared.post(TEXTS, {"prompt": "say anna"}).values["usage"] == usage
    twice = shared.post(TEXTS, {"prompt": ["say anna"] * 2}).values["usage"]
    assert twice == {name: 2 * number for name, number in usage.items()}
    asked = {"messages": user("say anna"), "stream_options": {"include_usage": True}}
    *others, last = shared.stream(CHAT, asked).events
    assert last["usage"] == usage and last["choices"] == []
    assert {each["usage"] for each in others} == {None}
    assert "usage" not in shared.stream(CHAT, {"messages": user("x")}).events[0]


def test_an_empty_prompt_gets_what_the_spec_has(
    shared: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No text, or an error."""
    choices = shared.post(TEXTS, {"prompt": [" \n", "say anna"]}).values["choices"]
    assert choices[0] == {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
    assert choices[1]["text"]
    assert shared.stream(CHAT, {"messages": user("\u3000")}).text() == ""
    refusing = Limits(**LIMITS | {"empty_text": "refused"})
    monkeypatch.setitem(vars(shared.service.current.bundle), "limits", refusing)
    for asked in ({"prompt": " "}, {"prompt": "\u3000", "stream": True}):
        response = shared.post(TEXTS, asked)
        assert (response.status, response.code) == (400, "empty_text")


def test_a_text_ends_where_the_model_reads_no_further(shared: Client) -> None:
    """By `max_tokens`, or by the positions; a prompt that leaves no room for one is refused."""
    asked = {"prompt": "x", "max_tokens": 3, "temperature": 2}
    response = shared.post(TEXTS, asked).values
    assert response["choices"][0]["finish_reason"] == "length"
    assert response["usage"]["completion_tokens"] == 3
    form = {"type": "regex", "pattern": "[xy]*"}
    full = shared.post(TEXTS, {"prompt": "x", "max_tokens": 10**6, "response_format": form}).values
    if full["choices"][0]["finish_reason"] == "length":
        assert full["usage"]["total_tokens"] == writingbundles.POSITIONS
    for stream in (False, True):
        response_ = shared.post(TEXTS, {"prompt": "q w z " * 30, "stream": stream})
        assert (response_.status, response_.code) == (400, "context_length_exceeded")
        assert str(writingbundles.POSITIONS) in response_.values["error"]["message"]


# --- what is refused ---

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "several texts": ({"n": 2}, "`n`"),
    "log probabilities": ({"logprobs": 3}, "`logprobs`"),
    "an unknown field": ({"best": 1}, "there is no field 'best'"),
    "a flag for a number": ({"n": True}, "`n`"),
    "presence": ({"presence_penalty": 0.5}, "repetition_penalty"),
    "no temperature": ({"top_p": 0.9}, "give `temperature`"),
    "a cold one": ({"temperature": -1}, "`temperature`"),
    "no share": ({"temperature": 1, "top_p": 0}, "`top_p`"),
    "half a token": ({"max_tokens": 1.5}, "`max_tokens`"),
    "no token": ({"max_tokens": 0}, "`max_tokens`"),
    "an empty stop": ({"stop": ["a", ""]}, "`stop`"),
    "many stops": ({"stop": ["a"] * 17}, "`stop`"),
    "a seed below zero": ({"seed": -1}, "`seed`"),
    "a stream that is none": ({"stream": "yes"}, "`stream`"),
    "usage without a stream": ({"stream_options": {"include_usage": True}}, "`stream: true`"),
    "ids": ({"prompt": [1, 2]}, "ids of tokens"),
    "no prompt": ({"prompt": None}, "`prompt`"),
    "an empty list": ({"prompt": []}, "`prompt`"),
    "an odd form": ({"response_format": {"type": "xml"}}, "`response_format`"),
    "no pattern": ({"response_format": {"type": "regex"}}, "`response_format`"),
    "messages": ({"messages": []}, "there is no field 'messages'"),
    "endless": ({"temperature": 10.0**308 * 10}, "no JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_as_described_is_refused(shared: Client, name: str) -> None:
    """With one message that says which field."""
    fields, words = BAD[name]
    response = shared.post(TEXTS, {"prompt": "x"} | fields)
    assert (response.status, response.code) == (400, "malformed")
    assert words in response.values["error"]["message"]


CONVERSATIONS: dict[str, Any] = {
    "nothing": [],
    "no list": {"role": "user", "content": "x"},
    "no message": ["x"],
    "no content": [{"role": "user"}],
    "content that is null": [{"role": "user", "content": None}],
    "a tool": [*user("x"), {"role": "tool", "content": "x"}],
    "a role that is a list": [{"role": [], "content": "x"}],
    "an answer at the end": [*user("x"), {"role": "assistant", "content": "y"}],
    "a name": [{"role": "user", "content": "x", "name": "y"}],
    "an image": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_that_is_none_is_refused(shared: Client, name: str) -> None:
    """Before a text is begun, whole or streamed."""
    for stream in (False, True):
        response = shared.post(CHAT, {"messages": CONVERSATIONS[name], "stream": stream})
        assert (response.status, response.code) == (400, "malformed"), response


def test_a_bundle_of_single_prompts_reads_no_conversation(tmp_path: Path) -> None:
    """It answers one prompt, by either endpoint."""
    client = Client(writingbundles.make(tmp_path / "bundle", LIMITS, PAIR))
    assert client.text(CHAT, {"messages": user("x")}) == client.text(TEXTS, {"prompt": "x"}) != ""
    talk = [*user("x"), {"role": "assistant", "content": "y"}, *user("z")]
    response = client.post(CHAT, {"messages": talk})
    assert (response.status, response.code) == (400, "malformed")
    assert "a pair is one prompt" in response.values["error"]["message"]
    client.close()


FORMS: dict[str, Any] = {
    "a mistake": {"type": "regex", "pattern": "(a"},
    "look-around": {"type": "regex", "pattern": "a(?=b)"},
    "no text": {"type": "regex", "pattern": "a\ud83d"},
    "much": {"type": "regex", "pattern": "((a{1000}){1000}){1000}"},
    "no type": {"type": "json_schema", "json_schema": {"schema": {"type": "odd"}}},
    "nothing": {"type": "json_schema", "json_schema": {"schema": {"enum": []}}},
    "a reference": {"type": "json_schema", "json_schema": {"schema": {"$ref": "file:///x"}}},
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_cannot_be_followed_is_refused(shared: Client, name: str) -> None:
    """And nothing else is hurt by it."""
    for stream in (False, True):
        asked = {"prompt": "x", "response_format": FORMS[name], "stream": stream}
        response = shared.post(TEXTS, asked)
        assert response.status == 400 and response.code in ("constraint", "malformed"), response
    assert shared.post(TEXTS, {"prompt": "x"}).status == 200


def test_deep_schemas_are_refused(shared: Client) -> None:
    """What compiles them recurses."""
    schema: dict[str, Any] = {}
    for _ in range(63):
        schema = {"items": schema}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    asked = {"prompt": "x", "response_format": form, "max_tokens": 2}
    assert shared.post(TEXTS, asked).status == 200
    form["json_schema"] = {"schema": {"items": schema}}
    response = shared.post(TEXTS, asked)
    assert response.code == "malformed" and "levels" in response.values["error"]["message"]


def test_long_texts_lists_and_other_models_are_refused(shared: Client) -> None:
    """As long as the limits say; a conversation counts as one text."""
    for path, asked, status, code in (
        (TEXTS, {"prompt": "x" * 201}, 422, "text_too_long"),
        (TEXTS, {"prompt": ["x", "\u20ac" * 67]}, 422, "text_too_long"),
        (CHAT, {"messages": user("x" * 101) * 2}, 422, "text_too_long"),
        (TEXTS, {"prompt": ["x"] * 9}, 422, "too_many_texts"),
        (TEXTS, {"prompt": "x", "model": "other"}, 404, "no_model"),
        (TEXTS, b"{" + b" " * 4000, 413, "body_too_large"),
    ):
        response = shared.post(path, asked)
        assert (response.status, response.code) == (status, code)
    assert shared.post(TEXTS, {"prompt": "x"}, content_type="text/plain").status == 415
    assert shared.post(TEXTS, {"prompt": "x", "model": "bundle"}).status == 200
    assert shared.get("/v1/models/other").code == "no_model"
    assert shared.get(app.CLASSIFY).status == 404


def test_settings_that_are_not_given_are_the_bundles() -> None:
    """Of a bundle that draws, too."""
    own = Settings(7, Sampling(0.7, 0.8, 9, None, 5), ("a",), 1.1, None, 0.5)
    limits = Limits(**LIMITS)

    def of(**fields: Any) -> Settings:
        body = json.dumps({"prompt": "x"} | fields).encode()
        return completing.texts(body, limits).settings(own)

    assert of() == of(stop=None, temperature=None) == own
    assert of(seed=6).sampling == Sampling(0.7, 0.8, 9, None, 6)
    assert of(temperature=0).sampling is None
    assert of(min_p=0, top_p=1).sampling == Sampling(0.7, 1.0, 9, None, 5)
    assert of(stop=[]).stop == () and of(stop="b").stop == ("b",)
    body = {"messages": user("x"), "max_tokens": 5, "max_completion_tokens": 4}
    assert completing.chat(json.dumps(body).encode(), limits).settings(own).new_tokens == 4
