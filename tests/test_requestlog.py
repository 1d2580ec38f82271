"""Answered texts are kept in files that can be read at any time, and become rows of a corpus."""

import asyncio
import json
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.formats.predict import Classifier
from lmspec.serving import requestlog
from lmspec.serving.following import Following
from lmspec.serving.requestlog import RequestLog
from lmspec.serving.sent import Sent
from tests import bundles, miniature
from tests.miniature import ROOT
from tests.serving import Client
from tests.test_connections import Process, new_folder
from tests.test_data import build_corpus
from tests.test_shadow import until

TEXTS = sorted({text for _, text, _ in miniature.sentences("")})[:30]
PAGE = ROOT / "docs" / "serving.md"
KILLED = """
import sys
from lmspec.serving import requestlog
requestlog.WRITE_SECONDS = 0.2
from lmspec.cli.main import main
main(["serve", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(new_folder(tmp_path_factory.mktemp("of") / "release"))


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    made = Client(folder)
    yield made
    made.close()


def sent(text: str = "a film", number: int = 0) -> Sent:
    return Sent(
        1_800_000_000_000,
        "r",
        number,
        text,
        "good",
        {"good": 0.75, "bad": 0.25},
        (),
        "d" * 64,
        None,
    )


def begun(path: Path, files: int = 3) -> tuple[RequestLog, CollectorRegistry, list[Any]]:
    """A log, its measures and what it logs."""
    registry, logged = CollectorRegistry(), list[Any]()
    note = lambda event, **values: logged.append((event, values))  # noqa: E731
    return RequestLog(path, files, registry, note), registry, logged


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.parquet"))
    return [row for file in files for row in pl.read_parquet(file).iter_rows(named=True)]


def test_rows_are_what_was_answered(client: Client, folder: Path, tmp_path: Path) -> None:
    """Each text with its answer, request, time and release, and the shadow's label; no others."""
    other = bundles.make(new_folder(tmp_path / "other"), seed=2)
    place = new_folder(tmp_path / "logs")
    began = datetime.now(UTC)
    after = Following(client.service, client._note, other, kept=place / "requests.parquet", files=9)
    odd = "half a pair \ud83d"
    client.post({"texts": [TEXTS[0], " ", 5, odd], "id": "mine", "top": 2})
    client.post({"text": TEXTS[1], "id": "other"})
    client.post({"text": "x" * 99_999})
    after.close()
    classifiers = {name: Classifier(path) for name, path in (("own", folder), ("shadow", other))}
    expected = [("mine", 0, TEXTS[0], 2), ("mine", 3, odd, 2), ("other", 0, TEXTS[1], 3)]
    rows = rows_of(place)
    assert [(row["id"], row["number"]) for row in rows] == [one[:2] for one in expected]
    for row, (_, _, text, top) in zip(rows, expected, strict=True):
        own, shadow = (classifiers[name].predict(text) for name in ("own", "shadow"))
        assert row["text"] == text.replace("\ud83d", "\ufffd")
        best = [{"label": label, "probability": p} for label, p in own.items()][:top]
        assert row["probabilities"] == best
        assert (row["label"], row["confidence"]) == (best[0]["label"], best[0]["probability"])
        assert (row["shadow_label"], row["shadow_confidence"]) == next(iter(shadow.items()))
        assert row["bundle"] == client.service.current.digest != row["shadow_bundle"]
        assert began.timestamp() - 1 < row["time"].timestamp() < time.time() + 1
    assert stat.S_IMODE((place / "requests-000001.parquet").stat().st_mode) == 0o600


def test_files_are_bounded_in_size_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go; another start begins a file of its own, and clears what a kill left."""
    monkeypatch.setattr(requestlog, "FILE_ROWS", 10)
    log, registry, _ = begun(tmp_path / "requests.parquet")
    for number in range(57):
        log.take(sent(number=number))
    log.close()
    assert names(tmp_path) == [f"requests-{n:06d}.parquet" for n in (4, 5, 6)]
    assert [row["number"] for row in rows_of(tmp_path)] == list(range(30, 57))
    assert registry.get_sample_value("lmspec_log_rows_total", {"result": "written"}) == 57
    (tmp_path / ".requests.part").write_bytes(b"half")
    monkeypatch.setattr(requestlog, "FILE_BYTES", 100)
    log, _, _ = begun(tmp_path / "requests.parquet")
    for _ in range(3):
        log.take(sent("x" * 60))
    log.close()
    assert names(tmp_path) == [f"requests-{n:06d}.parquet" for n in (6, 7, 8)]
    assert [len(rows_of_one(tmp_path, n)) for n in (7, 8)] == [2, 1]


def rows_of_one(folder: Path, number: int) -> pl.DataFrame:
    return pl.read_parquet(folder / f"requests-{number:06d}.parquet")


def test_what_finds_no_room_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs stops no one who asks."""
    monkeypatch.setattr(requestlog, "MOST_WAITING", 5)
    monkeypatch.setattr(requestlog, "WRITE_SECONDS", 0.0)
    log, registry, _ = begun(tmp_path / "requests.parquet")
    real, hangs = log._files.write, [True]

    def write(frame: pl.DataFrame) -> None:
        while hangs[0]:
            time.sleep(0.01)
        real(frame)

    monkeypatch.setattr(log._files, "write", write)
    log.take(sent())
    until(lambda: not log._line._items)
    for number in range(20):
        log.take(sent(number=number))
    assert registry.get_sample_value("lmspec_log_rows_total", {"result": "dropped"}) == 15
    hangs[0] = False
    log.close()
    assert len(rows_of(tmp_path)) == 6


def test_a_full_disk_costs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written stays as it is; rows wait for the next try, and are dropped at the end of a
    file. It is logged."""
    monkeypatch.setattr(requestlog, "WRITE_SECONDS", 0.0)
    log, registry, logged = begun(tmp_path / "requests.parquet")
    log.take(sent(number=1))
    until_written(registry, 1)
    before = (tmp_path / "requests-000001.parquet").read_bytes()
    real = pl.DataFrame.write_parquet

    def half(frame: pl.DataFrame, stream: Any) -> None:
        stream.write(b"PAR1 half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", half)
    log.take(sent(number=2))
    until(lambda: logged)
    assert (tmp_path / "requests-000001.parquet").read_bytes() == before
    assert logged[0] == ("log failed", {"error": "[Errno 28] No space left on device"})
    monkeypatch.setattr(pl.DataFrame, "write_parquet", real)
    log.take(sent(number=3))
    log.close()
    assert [row["number"] for row in rows_of(tmp_path)] == [1, 2, 3]


def until_written(registry: CollectorRegistry, rows: int) -> None:
    name, result = "lmspec_log_rows_total", {"result": "written"}
    until(lambda: (registry.get_sample_value(name, result) or 0) >= rows)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """At the start, with one message; so is the folder of another service."""
    (tmp_path / "file").write_text("")
    for path, found in (
        (tmp_path / "no" / "requests.parquet", "No such file"),
        (tmp_path / "file" / "requests.parquet", "Not a directory"),
        (tmp_path / "requests.csv", "does not end in .parquet"),
        (tmp_path / ".parquet", "does not end in .parquet"),
    ):
        with pytest.raises(LmspecError, match=found):
            begun(path)
    log, _, _ = begun(tmp_path / "requests.parquet")
    with pytest.raises(LmspecError, match="another service"):
        begun(tmp_path / "more.parquet")
    log.close()
    begun(tmp_path / "more.parquet")[0].close()


def test_sigterm_writes_every_row(folder: Path, tmp_path: Path) -> None:
    """Of the command, with a shadow: the end has its counts, and the exit status is 0."""
    path = tmp_path / "requests.parquet"
    served = Process(folder, "--log", str(path), "--shadow", str(folder), "--quiet")
    asyncio.run(post(served.port, TEXTS))
    assert served.stop(signal.SIGTERM) == 0
    rows = rows_of(tmp_path)
    assert sorted(row["text"] for row in rows) == TEXTS
    (end,) = [entry for entry in served.log if entry["event"] == "shadow"]
    compared = [row for row in rows if row["shadow_label"] is not None]
    assert end["same"] == len(compared) and end["differs"] == 0
    assert end["same"] + end["dropped"] == len(TEXTS)


async def post(port: int, texts: list[str]) -> None:
    """A request each, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for text in texts:
        body = json.dumps({"text": text}).encode()
        head = f"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"{head}content-type: application/json\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in answer.split(b"\r\n")[0]
        size = int(answer.lower().partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(size)
    writer.close()


def test_a_kill_loses_the_last_moments_alone(folder: Path, tmp_path: Path) -> None:
    """Each file can be read, whenever the service was killed."""
    for number in range(2):
        place = new_folder(tmp_path / str(number))
        command = [sys.executable, "-c", KILLED, str(folder), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--log", str(place / "requests.parquet")],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        try:
            port = int(json.loads(process.stderr.readline())["url"].rpartition(":")[2])
            asyncio.run(post(port, TEXTS[:20]))
            until(lambda place=place: len(rows_of(place)) == 20)
            asyncio.run(post(port, TEXTS[20 : 20 + 6 * number]))
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
        texts = [row["text"] for row in rows_of(place)]
        assert texts[:20] == TEXTS[:20] and texts == TEXTS[: len(texts)]


# --- as a corpus ---


@pytest.mark.parametrize("labelled", [True, False])
def test_what_was_kept_is_a_table_of_a_corpus(
    client: Client, tmp_path: Path, labelled: bool
) -> None:
    """As docs/serving.md has it: with the answers as labels, or without any, as for pre-training;
    the texts of a request belong together."""
    place = new_folder(tmp_path / "raw")
    after = Following(client.service, client._note, kept=place / "requests.parquet", files=9)
    for start in range(0, len(TEXTS), 3):
        client.post({"texts": TEXTS[start : start + 3], "id": f"request-{start}"})
    after.close()
    (block,) = re.findall(r"```yaml\n(sources:\n  asked:.*?)```", PAGE.read_text(), re.S)
    table = YAML(typ="safe").load(block)["corpus"]["asked"]["tables"][0] | {"of": "sources.raw"}
    table |= {} if labelled else {"label": None}
    labels = {"labels": bundles.LABELS if labelled else []}
    out = tmp_path / "out"
    build_corpus(place, out, table, **labels, near_duplicates=None)
    frame = documents.read(out / "documents.parquet")
    answers = dict(zip(TEXTS, (next(iter(client_answer(client, t))) for t in TEXTS), strict=True))
    kept = {row["text"]: row for row in frame.iter_rows(named=True)}
    assert set(kept) <= set(TEXTS) and len(kept) > 20
    for text, row in kept.items():
        assert row["label"] == (answers[text] if labelled else None)
        assert row["group"].endswith(f"request-{TEXTS.index(text) // 3 * 3}")


def client_answer(client: Client, text: str) -> dict[str, float]:
    return client.service.current.bundle.classifier.predict(text)
