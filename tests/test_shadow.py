"""A shadow answers, too: what differs is counted, and no answer changes, waits or fails for it."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lmspec.errors import LmspecError
from lmspec.formats.predict import Classifier
from lmspec.serving import apart, shadow, shadowed
from lmspec.serving.following import Following
from lmspec.serving.opening import opened
from lmspec.serving.releases import Given
from lmspec.serving.sent import Sent
from tests import bundles, miniature, servingtexts, writingbundles
from tests.serving import Client, Response
from tests.test_connections import new_folder

TEXTS = [text for _, text, _ in miniature.sentences("")][:40]
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles: a, and b with other weights."""
    folder = tmp_path_factory.mktemp("bundles")
    bundles.make(new_folder(folder / "a"))
    bundles.make(new_folder(folder / "b"), seed=2)
    return folder


@pytest.fixture
def client(place: Path) -> Iterator[Client]:
    made = Client(place / "a")
    yield made
    made.close()


@contextlib.contextmanager
def followed(client: Client, folder: Path, **options: Any) -> Iterator[Following]:
    """A shadow for its service."""
    after = Following(client.service, client._note, folder, **options)
    try:
        yield after
    finally:
        after.close()


def until(holds: Callable[[], object]) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def events(client: Client, name: str) -> list[dict[str, Any]]:
    return [entry for entry in client.log if entry["event"] == name]


def of(after: Following) -> shadow.Shadow:
    """The shadow itself."""
    assert after._shadow is not None
    return after._shadow


def counted(client: Client, name: str, **labels: str) -> float:
    return client.service.measures.registry.get_sample_value(name, labels) or 0.0


def ask(client: Client, texts: list[str]) -> list[Response]:
    """All of them at the same time, a request each."""

    async def each() -> list[Response]:
        return await asyncio.gather(*(client.classify({"text": text}) for text in texts))

    return asyncio.run(each())


def test_what_differs_is_counted_and_no_answer_changes(place: Path, client: Client) -> None:
    """By label and by text, as both bundles answer alone; the log has texts only if it is asked
    for. The control: a bundle beside itself never differs."""
    a, b = (Classifier(place / name) for name in "ab")
    labels = [(next(iter(a.predict(text))), next(iter(b.predict(text)))) for text in TEXTS]
    pairs = Counter(pair for pair in labels if pair[0] != pair[1])
    assert pairs
    alone = [response.values["answers"] for response in ask(client, TEXTS)]
    with followed(client, place / "b") as after:
        beside = [response.values["answers"] for response in ask(client, TEXTS)]
        client.post({"texts": ["", TEXTS[0]], "top": 1})
        until(lambda: sum(of(after).found.counts.values()) == len(TEXTS) + 1)
    assert beside == alone
    assert of(after).found.counts["dropped"] == of(after).found.counts["failed"] == 0
    more = Counter([labels[0]]) if labels[0][0] != labels[0][1] else Counter()
    assert of(after).found.pairs == pairs + more
    assert len(events(client, "differs")) == (pairs + more).total()
    assert all("text" not in entry for entry in client.log)
    for (label, other), texts in (pairs + more).items():
        name = "lmspec_shadow_differences_total"
        assert counted(client, name, label=label, shadow=other) == texts
    same = len(TEXTS) + 1 - (pairs + more).total()
    assert counted(client, "lmspec_shadow_texts_total", result="same") == same
    (end,) = events(client, "shadow")
    assert end["same"] == same and end["differs"] == (pairs + more).total()
    assert {(p["label"], p["shadow"]): p["texts"] for p in end["pairs"]} == pairs + more


def test_texts_are_logged_if_asked_for(place: Path, client: Client) -> None:
    """With both labels and probabilities, and the id of the request."""
    with followed(client, place / "b", texts=True) as after:
        answered = zip(TEXTS, ask(client, TEXTS), strict=True)
        ids = {text: response.values["id"] for text, response in answered}
        until(lambda: sum(of(after).found.counts.values()) == len(TEXTS))
    logged = {entry["text"]: entry for entry in events(client, "differs")}
    assert logged
    other = Classifier(place / "b")
    for text, entry in logged.items():
        label, confidence = next(iter(other.predict(text).items()))
        assert (entry["shadow"], entry["shadow_confidence"]) == (label, confidence)
        assert entry["id"] == ids[text] and entry["label"] != label


def test_a_bundle_beside_itself_never_differs(place: Path, client: Client) -> None:
    """Odd texts, too; those of the Open Inference Protocol are asked, and ids are not."""
    odd = ["a \ud83d b", "x" * 3000, "\u0130\u00df", "café"]
    with followed(client, place / "a") as after:
        ask(client, odd)
        name = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a film", "a bore"]}
        ids = {"name": "input_ids", "shape": [1, 2], "datatype": "INT64", "data": [5, 6]}
        mask = ids | {"name": "attention_mask", "data": [1, 1]}
        for inputs in ([name], [ids, mask]):
            body = json.dumps({"inputs": inputs}).encode()
            path = "/v2/models/a/infer"
            assert asyncio.run(client.ask("POST", path, (body,), {})).status == 200
        client.post({"text": " "})
        until(lambda: of(after).found.counts["same"] == len(odd) + 2)
    assert sum(of(after).found.counts.values()) == len(odd) + 2


def test_a_shadow_that_hangs_holds_up_no_answer(
    place: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line is bounded: what finds no room is dropped and counted. The end does not wait."""
    monkeypatch.setattr(shadow, "MOST_WAITING", 4)
    with followed(client, place / "a") as after:
        process = of(after)._process
        assert process is not None
        os.kill(process.number, signal.SIGSTOP)
        assert {response.status for response in ask(client, TEXTS)} == {200}
        until(lambda: of(after).found.counts["dropped"] >= len(TEXTS) - 5)
        os.kill(process.number, signal.SIGCONT)
        until(lambda: sum(of(after).found.counts.values()) == len(TEXTS))
        assert of(after).found.counts["same"] >= 4
        os.kill(process.number, signal.SIGSTOP)
        ask(client, TEXTS[:3])
        began = time.monotonic()
    assert time.monotonic() - began < shadow.END_SECONDS + 5
    assert sum(of(after).found.counts.values()) == len(TEXTS) + 3
    assert of(after).found.counts["failed"] + of(after).found.counts["dropped"] >= 3


def test_a_shadow_that_dies_is_counted_and_started_again(
    place: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not again and again, and no answer fails; one that does not answer in time is ended."""
    monkeypatch.setattr(shadow, "REST_SECONDS", 0.0)
    with followed(client, place / "a") as after:
        first = of(after)._process
        assert first is not None
        os.kill(first.number, signal.SIGKILL)
        assert ask(client, TEXTS[:1])[0].status == 200
        until(lambda: of(after).found.counts["failed"] == 1)
        ask(client, TEXTS[:1])
        until(lambda: of(after).found.counts["same"] == 1)
        second = of(after)._process
        assert second is not None and second.number != first.number
        monkeypatch.setattr(apart, "ANSWER_SECONDS", 0.2)
        monkeypatch.setattr(shadow, "REST_SECONDS", 3600.0)
        os.kill(second.number, signal.SIGSTOP)
        assert {response.status for response in ask(client, TEXTS[:3])} == {200}
        until(lambda: of(after).found.counts["failed"] == 4)
    assert [entry["error"] for entry in events(client, "shadow died")][1:] == ["TimeoutError"]
    assert counted(client, "lmspec_shadow_texts_total", result="failed") == 4


def test_one_text_that_fails_is_counted_alone(place: Path, client: Client) -> None:
    """The next one is answered by the same process."""
    with followed(client, place / "a") as after:
        process = of(after)._process
        no_text: Any = ["no text"]
        of(after).take(Sent(0, "r", 0, no_text, "bad", {"bad": 1.0}, bundles.LABELS, "d", None))
        ask(client, TEXTS[:1])
        until(lambda: of(after).found.counts["same"] == 1)
        assert of(after).found.counts["failed"] == 1 and of(after)._process is process
    assert [entry["error"] for entry in events(client, "shadow failed")] == ["TypeError"]


def test_a_reload_opens_the_folder_again(place: Path, client: Client, tmp_path: Path) -> None:
    """What a link leads to now; a damaged bundle is refused, and the former goes on. A service that
    was reloaded with other labels is not compared."""
    link = tmp_path / "current"
    link.symlink_to(place / "a")
    with followed(client, link) as after:
        digest = of(after).found.digest
        bad = shutil.copytree(place / "b", tmp_path / "bad")
        (bad / "model.onnx").write_bytes(b"")
        for folder, event in ((bad, "shadow refused"), (place / "b", "shadow ready")):
            before = len(events(client, event))
            link.unlink()
            link.symlink_to(folder)
            after.reload()
            until(lambda event=event, before=before: len(events(client, event)) > before)
        assert of(after).found.digest == opened(place / "b").manifest.digest != digest
        ask(client, TEXTS[:2])
        until(lambda: sum(of(after).found.counts.values()) == 2)
        former = client.service.replace(Given(other_labels(tmp_path)))
        ask(client, TEXTS[:2])
        until(lambda: of(after).found.counts["other_labels"] == 2)
        former.close()


def other_labels(place: Path) -> Any:
    """A bundle with other labels, opened."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bundles, "LABELS", ["bad", "good", "no film"])
        return opened(bundles.make(new_folder(place / "other")))


def test_a_shadow_that_is_none_is_refused_at_the_start(
    place: Path, client: Client, tmp_path: Path
) -> None:
    """With one message: other labels, a damaged bundle, no folder."""
    other = other_labels(tmp_path)
    bad = shutil.copytree(place / "b", tmp_path / "bad")
    (bad / "tokenizer.json").write_bytes(b"{}")
    for folder, found in (
        (other.folder, "its labels are bad, good, no film, and those of the service bad, good, so"),
        (bad, "tokenizer.json: it is not the file that was built"),
        (tmp_path / "no", "there is no such folder"),
    ):
        with pytest.raises(LmspecError, match=found) as refused:
            Following(client.service, client._note, folder)
        assert str(folder) in refused.value.place and refused.value.remedy


def test_only_labels_have_a_shadow(place: Path, tmp_path: Path) -> None:
    """A service that writes has none, and a bundle that writes is none."""
    folder = writingbundles.make(tmp_path / "writes")
    writes = servingtexts.Client(folder)
    for options in ({"shadow": place / "a"}, {"kept": tmp_path / "r.parquet"}):
        with pytest.raises(LmspecError, match="its model writes"):
            Following(writes.service, writes._note, **options)
    writes.close()
    with pytest.raises(LmspecError, match="its model writes"):
        shadowed.bundle_in(folder, False)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_shadow_gives_way(place: Path, client: Client) -> None:
    """Its process has the lowest priority, is ended first where memory runs out, and is in the
    session of the service but not in its group."""
    with followed(client, place / "a") as after:
        process = of(after)._process
        assert process is not None
        number = process.number
        assert os.getpriority(os.PRIO_PROCESS, number) == 19
        assert Path(f"/proc/{number}/oom_score_adj").read_text().strip() == "1000"
        assert os.getsid(number) == os.getsid(0) and os.getpgid(number) == number
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
