"""The client that people have, `openai`, works against a service that writes: over a socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lmspec.formats.predict_writing import Writer
from lmspec.serving.keys import Keys
from tests import servingtexts, writingbundles
from tests.servingtexts import Client, Gate

openai = pytest.importorskip("openai", reason="pip install -e '.[peers]'")
SERVING: dict[str, Any] = {"max_text_bytes": 400, "max_texts": 4, "max_body_bytes": 4000}
SERVING |= {"queue": 4, "timeout_ms": 20_000, "drain_seconds": 30, "empty_text": "no_answer"}
KEY = "k" * 40
TALK: Any = [{"role": "user", "content": "say anna"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writingbundles.make(tmp_path_factory.mktemp("of") / "bundle", SERVING)


@asynccontextmanager
async def asked(service: Client) -> AsyncIterator[Any]:
    """A client of the service, which is behind a socket."""
    async with servingtexts.listening(service) as (url, server):
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        client.server = server
        async with client:
            yield client


def test_the_client_reads_texts_streams_and_errors(folder: Path) -> None:
    """As its types have them; texts are those of predict.py."""
    writer = Writer(folder)
    truth = writer.write("say anna")

    async def ask() -> None:
        async with asked(Client(folder, keys=Keys([KEY]))) as client:
            (model,) = (await client.models.list()).data
            assert (await client.models.retrieve(model.id)).id == model.id == "bundle"
            whole = await client.chat.completions.create(model=model.id, messages=TALK)
            assert whole.choices[0].message.content == truth
            assert whole.usage.completion_tokens == len(writer.write_many(["say anna"])[0].ids)
            again = [*TALK, whole.choices[0].message, *TALK]  # its own objects come back
            turns = [*TALK, {"role": "assistant", "content": truth}, *TALK]
            more = await client.chat.completions.create(model=model.id, messages=again)
            assert more.choices[0].message.content == writer.chat(turns)
            options: Any = {"include_usage": True}
            stream = await client.chat.completions.create(
                model=model.id, messages=TALK, stream=True, stream_options=options
            )
            parts = [part async for part in stream]
            pieces = [part.choices[0].delta.content or "" for part in parts if part.choices]
            assert "".join(pieces) == truth and parts[-1].usage == whole.usage
            listed = await client.completions.create(
                model=model.id, prompt=["say anna", "say ben"], max_tokens=5, seed=3,
                temperature=0.7, extra_body={"top_k": 5, "repetition_penalty": 1.1},
            )  # fmt: skip
            assert [choice.index for choice in listed.choices] == [0, 1]
            with pytest.raises(openai.BadRequestError, match="`n` can only be 1") as refused:
                await client.chat.completions.create(model=model.id, messages=TALK, n=2)
            assert refused.value.code == "malformed" and refused.value.request_id
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="other", messages=TALK)
            with pytest.raises(openai.AuthenticationError):
                await client.with_options(api_key="x" * 40).models.list()

    asyncio.run(ask())


def test_the_client_gets_json_of_a_schema(folder: Path) -> None:
    """By its own types: a schema in, an object out."""
    schema = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "required": ["n"]}
    schema |= {"additionalProperties": False}
    form: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}

    async def ask() -> None:
        async with asked(Client(folder)) as client:
            answer = await client.chat.completions.create(
                model="bundle", messages=TALK, response_format=form, max_completion_tokens=40
            )
            assert json.loads(answer.choices[0].message.content) in ({"n": 1}, {"n": 22})

    asyncio.run(ask())


def test_a_client_that_closes_its_stream_frees_the_slot(folder: Path) -> None:
    """The next one is answered, though the first text had a long way to go."""

    async def ask() -> None:
        service = Client(folder, slots=1)
        gate = Gate(service)
        gate.let(4)
        async with asked(service) as client:
            form = {"type": "regex", "pattern": "[ab]{60}"}
            stream = await client.completions.create(
                model="bundle", prompt="x", max_tokens=70, stream=True,
                extra_body={"response_format": form},
            )  # fmt: skip
            assert (await anext(aiter(stream))).choices[0].text
            await stream.close()
            waiting = asyncio.create_task(
                client.completions.create(model="bundle", prompt="say ben", max_tokens=1)
            )
            await asyncio.sleep(0.1)
            gate.let(2)  # one in which the thread sees that it is alone, and one more
            assert len((await asyncio.wait_for(waiting, 10)).choices) == 1
            gate.open()

    asyncio.run(ask())


def test_a_service_that_stops_ends_the_stream_that_it_has_begun(folder: Path) -> None:
    """No connection is reset: the text is whole."""

    async def ask() -> None:
        service = Client(folder)
        truth = service.writer.write("say anna")
        gate = Gate(service)
        gate.let(2)
        async with asked(service) as client:
            fields: Any = {"model": "bundle", "messages": TALK, "stream": True}
            parts = aiter(await client.chat.completions.create(**fields))
            text = (await anext(parts)).choices[0].delta.content or ""
            service.service.draining = client.server.should_exit = True
            await asyncio.sleep(0.3)
            gate.open()
            async for part in parts:
                text += part.choices[0].delta.content or ""
            assert text == truth
            with pytest.raises(openai.APIConnectionError):
                await client.models.list()

    asyncio.run(ask())
