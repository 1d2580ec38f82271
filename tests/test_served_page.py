"""What a browser gets at `/`: files of lmspec alone, which ask no one else."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.errors import LmspecError
from lmspec.formats.predict import Classifier
from lmspec.serving import app, hosts, opening, page
from lmspec.serving.hosts import Hosts
from lmspec.serving.keys import Keys
from tests import bundles
from tests.serving import Client
from tests.test_serving import described

SCORES = {
    "of": "exported.a",
    "scores": "scores.a",
    "confidence": 0.95,
    "accuracies": [
        {"texts": "a", "examples": 9, "accuracy": 0.8, "low": 0.4, "high": 0.99},
    ],
    "mistakes": [
        {"dataset": "a", "text": "x", "label": "good", "predicted": "bad", "confidence": 0.9},
    ],
}
CARD = "# Good or bad\n\n## Intended use\n\nTests.\n"
FILES = {"README.md": CARD, "scores.json": json.dumps(SCORES)}
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in page.FOLDER.iterdir()}
BINDING = {"content-security-policy", "x-content-type-options", "referrer-policy"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two bundles that answer otherwise."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    return bundles.make(first, files=FILES), bundles.make(second, seed=2)


@pytest.fixture(scope="module")
def client(folders: tuple[Path, Path]) -> Iterator[Client]:
    first, second = folders
    made = Client(first, compared=second)
    yield made
    made.close()


def test_each_file_is_served_as_it_is(client: Client) -> None:
    """With a policy under which nothing is loaded from elsewhere, and no script is in the page."""
    assert client.get("/").body == client.get("/static/index.html").body
    for name, text in SOURCES.items():
        response = client.get(f"/static/{name}")
        assert response.status == 200 and response.body.decode() == text
        assert response.headers.keys() >= BINDING
        assert (
            response.headers["content-type"].split(";")[0]
            == {
                "html": "text/html",
                "css": "text/css",
                "js": "text/javascript",
                "svg": "image/svg+xml",
            }[name.rpartition(".")[2]]
        )
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert client.log[-1]["endpoint"] == f"/static/{name}"


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_named_that_is_not_served_here(name: str) -> None:
    """No address elsewhere, no script or style within the page, no markup made of texts."""
    text = SOURCES[name]
    named = re.findall(r'(?:src|href)="([^"#]+)"|from "\./([^"]+)"', text)
    for path, module in named:
        local = module or path.removeprefix("static/")
        assert local in SOURCES or local == "openapi.json", local
    if name != "icon.svg":  # it has the address that names its language
        assert re.findall(r"https?://\w", text) == []
    assert not re.search(r"\b(on[a-z]+|style)=\"|<style|<script>|innerHTML|document\.write", text)
    assert not re.search(r"\b(eval|Function|localStorage|sendBeacon)\b|\.cookie", text)


def test_the_page_needs_no_key_and_what_it_asks_does(folders: tuple[Path, Path]) -> None:
    """It asks for the key itself, so it has nothing that is not public."""
    made = Client(folders[0], keys=Keys(["a" * 16]), compared=folders[1])
    for path in ("/", *(f"/static/{name}" for name in SOURCES)):
        assert made.get(path).status == 200
    for path in (app.BUNDLE, app.CARD, app.COMPARED + app.CARD, app.COMPARED + app.METRICS):
        assert made.get(path).status == 401
        assert made.get(path, authorization=f"Bearer {'a' * 16}").status == 200
    made.close()


def test_the_card_has_what_the_bundle_has(client: Client) -> None:
    """A bundle without scores has none, and both are as the document says."""
    first = client.get(app.CARD)
    assert (first.values["card"], first.values["scores"]) == (CARD, SCORES)
    assert first.values["bundle"] == client.get(app.BUNDLE).values["digest"]
    second = client.get(app.COMPARED + app.CARD)
    assert second.values["scores"] is None and second.values["card"] == bundles.CARD["README.md"]
    document = client.get(app.OPENAPI).values
    for response in (first, second):
        assert described(document, "get", app.CARD, response)
    broken = json.loads(first.body) | {"scores": {"of": "x"}}
    assert not described(
        document, "get", app.CARD, first._replace(body=json.dumps(broken).encode())
    )


def test_scores_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    """Which file it is comes first in the message."""
    for content in ("[1]", "{", "[" * 100_000):
        folder = bundles.make(tmp_path, files={"README.md": "x", "scores.json": content})
        with pytest.raises(LmspecError) as failed:
            opening.opened(folder)
        assert failed.value.place.endswith("scores.json")


def test_a_second_bundle_answers_below_its_own_path(
    client: Client, folders: tuple[Path, Path]
) -> None:
    """Its answers are those of its predict.py, and are not counted as the first one's."""
    text = "the film was a bore"
    values = json.dumps({"text": text}).encode()
    headers = {"content-type": "application/json"}
    path = app.COMPARED + app.CLASSIFY
    response = asyncio.run(client.ask("POST", path, (values,), headers))
    answer = response.values["answers"][0]["probabilities"]
    assert answer == Classifier(folders[1]).predict(text) != Classifier(folders[0]).predict(text)
    about = client.get(app.BUNDLE).values
    assert about["compared"] == response.values["bundle"] != about["digest"]
    document = client.get(app.COMPARED + app.OPENAPI).values
    assert document["servers"] == [{"url": app.COMPARED}]
    assert described(document, "post", app.CLASSIFY, response)
    for own in document["paths"].keys() - {app.CLASSIFY}:
        assert described(document, "get", own, client.get(app.COMPARED + own)), own
    counted = b"lmspec_texts_total{"
    assert counted not in client.get(app.METRICS).body
    assert counted in client.get(app.COMPARED + app.METRICS).body
    assert text not in json.dumps(client.log)


@pytest.mark.parametrize("path", ["/", "/v1/card", "/healthz", "/static/main.js", "/x"])
def test_other_names_reach_nothing(folders: tuple[Path, Path], path: str) -> None:
    """A name that another web page leads to this machine (DNS rebinding) gets no answer."""
    made = Client(folders[0], hosts=["lm.example"])
    for host in (
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "a b",
        "\xe9",
    ):
        response = made.get(path, host=host)
        assert (response.status, response.code) == (421, "other_host"), host
        assert response.headers["connection"] == "close"
    for host in (
        "localhost:8000",
        "LM.example.",
        "127.0.0.1",
        "[::1]:80",
        "192.0.2.7:1",
        "a.localhost",
    ):
        assert made.get(path, host=host).status == (404 if path == "/x" else 200), host
    made.close()


def test_names_are_checked_where_only_this_machine_can_ask() -> None:
    """Elsewhere only if names are given: others reach such a service anyway."""
    assert isinstance(hosts.of("127.0.0.1", ()), Hosts) and isinstance(hosts.of("::1", ()), Hosts)
    assert hosts.of("0.0.0.0", ()) is None and isinstance(hosts.of("0.0.0.0", ("a",)), Hosts)
