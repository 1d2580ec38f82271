"""Texts that grow side by side: slots are freed, shed, drained and taken over without a loss."""

import asyncio
import dataclasses
import itertools
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lmspec.errors import LmspecError
from lmspec.formats.predict_writing import Writer
from lmspec.serving import app, completions, opening, reloading, starting
from lmspec.serving.keys import Keys
from lmspec.serving.limits import WRITING, Limits
from lmspec.serving.releases import Given
from tests import bundles, writingbundles
from tests.servingtexts import CHAT, LIMITS, TEXTS, Client, Gate, streamed, until, user
from tests.test_connections import Process
from tests.tinywriter import pairs

PROMPTS = [content for row in pairs()[:12] for _, content in row[:1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writingbundles.make(tmp_path_factory.mktemp("of") / "bundle", LIMITS)


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    """Of one test alone."""
    made = Client(folder)
    yield made
    made.close()


LONG = {
    "prompt": "x",
    "max_tokens": 60,
    "response_format": {"type": "regex", "pattern": "[ab]{50}"},
}


def test_a_client_that_leaves_frees_its_slot(folder: Path) -> None:
    """Before its text is begun and while it grows, whole and streamed; others go on.

    The control: without the watch the slot stays taken.
    """

    async def leave(client: Client, stream: bool) -> bool:
        """Is the slot free while the decoder may take a few steps more?"""
        gate = Gate(client)
        leaves = asyncio.Event()
        body = json.dumps(LONG | {"stream": stream}).encode()
        headers = {"content-type": "application/json"}
        asking = asyncio.create_task(client.ask("POST", TEXTS, body, headers, leaves))
        gate.let(3)
        await until(lambda: len(gate.companies) == 3)
        waiting = asyncio.create_task(client.send(TEXTS, {"prompt": "y", "max_tokens": 1}))
        await until(lambda: client.service.current.line.waiting == 1)
        leaves.set()
        await asyncio.sleep(0.02)
        gate.let(2)
        try:
            async with asyncio.timeout(1):
                response = await waiting
            free = response.status == 200
        except TimeoutError:
            free = False
        gate.open()
        await asking
        client.writer.decoder.step = gate._step
        return free

    for stream in (False, True):
        client = Client(folder, slots=1)
        assert asyncio.run(leave(client, stream))
        shown = client.log[-1] if client.log[-1]["status"] != 200 else client.log[0]
        assert client.text(TEXTS, {"prompt": "say anna"}) == client.writer.write("say anna")
        assert not stream or "gone" in json.dumps(client.log), shown
        client.close()
    deaf = Client(folder, slots=1)
    with pytest.MonkeyPatch.context() as patch:

        async def never(receive: Any, events: Any) -> None:
            await asyncio.Event().wait()

        patch.setattr(completions, "_watch", never)
        assert not asyncio.run(leave(deaf, stream=False))
    deaf.close()


def test_a_full_queue_sheds_at_once(client: Client) -> None:
    """One prompt and a list alike; what waits is answered."""
    gate = Gate(client)

    async def load() -> list[Any]:
        running = [asyncio.create_task(client.send(TEXTS, LONG)) for _ in range(4)]
        await until(lambda: gate.read == 4)
        waiting = [asyncio.create_task(client.send(TEXTS, LONG | {"prompt": ["y"] * 7}))]
        await until(lambda: client.service.current.line.waiting == 7)
        many = await client.send(TEXTS, {"prompt": ["z", "z"], "stream": True})
        waiting.append(asyncio.create_task(client.send(TEXTS, {"prompt": "z"})))
        await until(lambda: client.service.current.line.waiting == 8)
        one = await client.send(CHAT, {"messages": user("z")})
        gate.open()
        return [many, one, *await asyncio.gather(*running, *waiting)]

    many, one, *answered = asyncio.run(load())
    for shed in (many, one):
        assert (shed.status, shed.code) == (503, "busy") and shed.headers["retry-after"] == "1"
    assert [response.status for response in answered] == [200] * 6
    assert 'lmspec_shed_total{of="queue"} 2.0' in client.get(app.METRICS).body.decode()


def test_a_list_does_not_keep_others_waiting(folder: Path) -> None:
    """Requests take turns, prompt by prompt."""
    client = Client(folder, slots=1)
    gate = Gate(client)

    async def order() -> list[str]:
        done: list[str] = []

        async def ask(name: str, asked: dict[str, Any]) -> None:
            await client.send(TEXTS, asked)
            done.append(name)

        tasks = [asyncio.create_task(ask("list", {"prompt": PROMPTS[:6]}))]
        await until(lambda: client.service.current.line.waiting == 5)
        tasks.append(asyncio.create_task(ask("one", {"prompt": "y"})))
        await until(lambda: client.service.current.line.waiting == 6)
        gate.open()
        await asyncio.gather(*tasks)
        return done

    assert asyncio.run(order()) == ["one", "list"]
    client.close()


def test_a_deadline_frees_the_slot(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a whole text: 504. Of a stream: an event with the error, and no `[DONE]`."""
    hurried = Limits(**LIMITS | {"timeout_ms": 300})
    monkeypatch.setitem(vars(client.service.current.bundle), "limits", hurried)
    gate = Gate(client)
    gate.let(4)

    async def ask() -> tuple[Any, Any]:
        sending = [client.send(TEXTS, LONG | {"stream": stream}) for stream in (False, True)]
        whole, stream = await asyncio.gather(*sending)
        return whole, stream

    whole, stream = asyncio.run(ask())
    assert (whole.status, whole.code) == (504, "timeout")
    assert stream.status == 200
    events = streamed(stream.body)
    assert events.events[-1]["error"]["code"] == "timeout" and not events.done
    assert client.log[-1]["error"] == client.log[-2]["error"] == "timeout"
    gate.open()
    monkeypatch.undo()
    assert client.post(TEXTS, {"prompt": "y"}).status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_that_cannot_be_written_fails_alone(client: Client, stream: bool) -> None:
    """Logits without a number in one row of a step: the others go on; a step that fails as a whole
    fails what was in it, and no more."""
    truth = client.writer.write("say ben")
    decoder = client.writer.decoder
    step, broken = decoder.step, threading.Event()

    def failing(pasts: Sequence[Any], tokens: Any) -> Any:
        new, logits = step(pasts, tokens)
        if len(pasts) == 2 and not broken.is_set():
            broken.set()
            logits = logits.copy()
            logits[0] = np.nan
        return new, logits

    gate = Gate(client)
    gate._step = failing

    async def both() -> list[Any]:
        first = asyncio.create_task(client.send(TEXTS, LONG | {"stream": stream}))
        await until(lambda: gate.read == 1)
        second = asyncio.create_task(client.send(TEXTS, {"prompt": "say ben"}))
        await until(lambda: gate.read == 2)
        gate.open()
        return [await first, await second]

    bad, good = asyncio.run(both())
    assert broken.is_set() and good.values["choices"][0]["text"] == truth
    error = streamed(bad.body).events[-1]["error"] if stream else bad.values["error"]
    assert error["code"] == "failed" and bad.status == (200 if stream else 500)

    def lost(pasts: Sequence[Any], tokens: Any) -> Any:
        decoder.step = step
        raise RuntimeError("no memory")

    decoder.step = lost
    assert client.post(TEXTS, LONG).code == "failed"
    assert client.text(TEXTS, {"prompt": "say ben"}) == truth
    shown = [entry for entry in client.log if entry["event"] == "failed"]
    assert [entry["error"] for entry in shown] == ["ValueError", "RuntimeError"]


# --- what it starts with, and what takes its place ---


def test_texts_that_depend_on_company_are_written_one_at_a_time(
    folder: Path, tmp_path: Path
) -> None:
    """By what the bundle says of its graph; more slots are refused."""
    other = tmp_path / "bundle"
    shutil.copytree(folder, other)
    writingbundles.changed(other, {"batch_invariant": False})
    given_ = Given(opening.opened(other))
    with pytest.raises(LmspecError, match="depend on what is written beside them"):
        starting.service(given_, 1, 4, print)
    client = Client(other, slots=4)
    gate = Gate(client)
    gate.open()

    async def many() -> None:
        await asyncio.gather(*(client.send(TEXTS, {"prompt": p}) for p in PROMPTS[:5]))

    asyncio.run(many())
    assert set(gate.companies) == {1} and client.get(app.BUNDLE).values["slots"] == 1
    client.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.onnx", b""), ("tokenizer.json", b"{}"), ("lmspec.json", b'{"generation": {}}')],
)
def test_a_bundle_that_is_not_whole_is_refused(
    folder: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    """A byte of its weights; files that its manifest has, and that are none; other code."""
    bundle = tmp_path / "bundle"
    shutil.copytree(folder, bundle)
    (bundle / name).write_bytes(content)
    with pytest.raises(LmspecError, match="not the file that was built"):
        opening.opened(bundle)
    writingbundles.listed(bundle, LIMITS)
    with pytest.raises(LmspecError, match="does not load"):
        opening.opened(bundle)
    for other in ("model.onnx.data", "sampling.py"):
        fresh = shutil.copytree(folder, tmp_path / other)
        with (fresh / other).open("ab") as file:
            file.write(b"\n")
        with pytest.raises(LmspecError, match="not the file that was built") as refused:
            opening.opened(fresh)
        assert refused.value.place == str(fresh / other)
    writingbundles.listed(fresh, LIMITS)
    with pytest.raises(LmspecError, match="another version of lmspec"):
        opening.opened(fresh)


def test_services_are_of_their_kind(folder: Path, tmp_path: Path) -> None:
    """The endpoints of labels or of texts; limits of its own; no slots for labels."""
    labels = Given(opening.opened(bundles.make(tmp_path)))
    with pytest.raises(LmspecError, match="slots are of bundles that write"):
        starting.service(labels, 1, 4, print)
    made = [
        starting.service(one, 1, None, print) for one in (labels, Given(opening.opened(folder)))
    ]
    assert all(callable(starting.application(service)) for service in made)
    for service, other in itertools.permutations(made, 2):
        with pytest.raises(LmspecError, match="start another"):
            service.replace(Given(other.current.bundle))
        service.current.close()
    assert made[1].slots == starting.SLOTS
    plain = writingbundles.changed(folder, {}, None)
    assert opening.opened(plain).limits == WRITING
    writingbundles.changed(folder, {}, LIMITS)


def test_another_bundle_takes_over(client: Client, folder: Path, tmp_path: Path) -> None:
    """At once for new requests; a stream that has begun is written by the one that it came to."""
    changed = tmp_path / "bundle"
    shutil.copytree(folder, changed)
    drawn = {"kind": "sample", "temperature": 0.8, "top_k": None, "top_p": None, "min_p": None}
    rule = writingbundles.GREEDY | {"decode": drawn | {"seed": 3}, "new_tokens": 9}
    writingbundles.changed(changed, {"generation": rule}, LIMITS)
    other, former = opening.opened(changed), client.service.current
    truth = client.writer.write("say anna")
    gate = Gate(client)

    async def load() -> tuple[Any, Any]:
        reload = reloading.Reloading(client.service, lambda: Given(other))
        asked = {"prompt": "say anna", "stream": True}
        first = asyncio.create_task(client.send(TEXTS, asked))
        gate.let(3)
        await until(lambda: len(gate.companies) == 3)
        reload.ask()
        await until(lambda: client.service.current is not former)
        second = await client.send(TEXTS, asked | {"stream": False})
        assert not first.done()
        gate.open()
        await reload.finished()
        return await first, second

    first, second = asyncio.run(load())
    assert streamed(first.body).text() == truth
    (choice,) = second.values["choices"]
    assert choice["text"] == Writer(changed).write("say anna") != truth
    digests = [streamed(first.body).events[0]["system_fingerprint"]]
    digests.append(second.values["system_fingerprint"])
    assert digests == [former.digest, other.manifest.digest]
    assert client.get(app.BUNDLE).values["generation"]["decode"]["temperature"] == 0.8


def test_a_service_that_drains_finishes_what_it_writes(client: Client) -> None:
    """And asks for no more on the connection."""
    gate = Gate(client)

    async def drain() -> Any:
        asking = asyncio.create_task(client.send(TEXTS, LONG | {"stream": True}))
        gate.let(2)
        await until(lambda: len(gate.companies) == 2)
        client.service.draining = True
        later = await client.ask("GET", app.READY, b"", {})
        assert later.status == 503
        gate.open()
        return await asking

    response = asyncio.run(drain())
    assert streamed(response.body).done and response.status == 200


def test_keys_are_asked_for(folder: Path) -> None:
    """As for labels."""
    client = Client(folder, keys=Keys(["k" * 32]))
    assert client.post(TEXTS, {"prompt": "x"}).status == 401
    assert client.post(TEXTS, {"prompt": "x"}, authorization=f"Bearer {'k' * 32}").status == 200
    assert client.get("/v1/models").code == "no_key" and client.get(app.HEALTH).status == 200
    client.close()


# --- what is seen of it ---


def test_the_log_holds_no_texts(client: Client) -> None:
    """Numbers of tokens, and how long the first took."""
    text = client.text(TEXTS, {"prompt": "wonderful", "user": "wonderful"})
    client.stream(CHAT, {"messages": user("wonderful")})
    client.post(TEXTS, {"prompt": "wonderful", "wonderful": 1})
    assert [entry["status"] for entry in client.log] == [200, 200, 400]
    first, second, third = client.log
    assert first["endpoint"] == TEXTS and first["tokens"] == second["tokens"] > 0
    assert first["ms"] >= first["first_ms"] > 0 and first["prompt_tokens"] > 3
    assert third["error"] == "malformed"
    shown = json.dumps(client.log)
    assert "wonderful" not in shown and json.dumps(text)[1:-1] not in shown


def test_metrics_count_what_happened(client: Client) -> None:
    """As Prometheus parses them."""
    answered = client.post(TEXTS, {"prompt": ["say anna", " "]}).values
    client.post(TEXTS, {"prompt": "q w z " * 30})
    families = text_string_to_metric_families(client.get(app.METRICS).body.decode())
    samples = {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}
    usage = answered["usage"]
    assert samples["lmspec_prompt_tokens_total",] == usage["prompt_tokens"]
    assert samples["lmspec_generated_tokens_total",] == usage["completion_tokens"]
    assert samples["lmspec_first_token_seconds_count",] == 1
    assert samples["lmspec_tokens_per_second_count",] == 1
    for result in ("answered", "empty", "context_length_exceeded"):
        assert samples["lmspec_texts_total", ("result", result)] == 1
    status = "lmspec_requests_total", ("endpoint", TEXTS)
    assert samples[*status, ("status", "200")] == samples[*status, ("status", "400")] == 1


def test_the_bundle_is_described(client: Client) -> None:
    """With the digest that each answer has, and its model."""
    about = client.get(app.BUNDLE).values
    assert about["generation"] == writingbundles.GREEDY and about["slots"] == 4
    assert (about["chats"], about["positions"]) == (True, writingbundles.POSITIONS)
    answered = client.post(TEXTS, {"prompt": "x"}, x_request_id="mine").values
    assert answered["system_fingerprint"] == about["digest"] and answered["id"] == "mine"
    (model,) = client.get("/v1/models").values["data"]
    assert model["id"] == about["name"] == answered["model"] == "bundle"
    assert client.get("/v1/models/bundle").values == model


def test_sighup_and_sigterm_lose_no_text(folder: Path, tmp_path: Path) -> None:
    """Of a process: streams that have begun are written to their end, each by the bundle that it
    came to, and the exit status is 0."""
    other = shutil.copytree(folder, tmp_path / "other")
    drawn = {"kind": "sample", "temperature": 2.0, "top_k": None, "top_p": None, "min_p": None}
    rule = writingbundles.GREEDY | {"decode": drawn | {"seed": 1}}
    writingbundles.changed(other, {"generation": rule}, LIMITS)
    link = tmp_path / "current"
    link.symlink_to(folder)
    served = Process(link, "--slots", "2", "--threads", "1", "--quiet")
    asked = {"prompt": PROMPTS[:8], "stream": True, "max_tokens": 70}
    asked |= {"response_format": {"type": "regex", "pattern": "[ab]{60}"}}

    def ask() -> HTTPResponse:
        """The response, whose head comes with the first token."""
        connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
        connection.request("POST", TEXTS, json.dumps(asked), {"Content-Type": "application/json"})
        return connection.getresponse()

    first = ask()
    link.unlink()
    link.symlink_to(other)
    served.process.send_signal(signal.SIGHUP)
    while not served.reloads():
        time.sleep(0.01)
    second = ask()
    served.process.send_signal(signal.SIGTERM)
    for response, of in ((first, folder), (second, other)):
        writer, stream = Writer(of), streamed(response.read())
        assert stream.done and response.status == 200
        form = {"constraint": writer.regex("[ab]{60}"), "new_tokens": 70}
        settings = dataclasses.replace(writer.settings, **form)
        truth = [writer.write(prompt, settings) for prompt in PROMPTS[:8]]
        assert [stream.text(number) for number in range(8)] == truth
    assert served.process.wait(30) == 0
    served._reading.join(10)
    assert [entry["event"] for entry in served.log] == ["reloaded", "draining", "stopped"]
