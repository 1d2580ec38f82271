"""The page of a bundle that writes: a prompt, and its text as it grows, as predict.py writes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import writingbundles
from tests.browser import Browser
from tests.serving import listening
from tests.servingtexts import Client, Gate
from tests.test_page_in_a_browser import opened, require_quiet  # noqa: F401
from tests.visiting import load, text_of, until

PROMPT = "tar: Extract an archive"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writingbundles.make(tmp_path_factory.mktemp("writes") / "shell")


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    yield Client(folder)


def write(tab: Browser, prompt: str) -> None:
    """Type a prompt, and click."""
    field = "document.getElementById('prompt')"
    tab.run(f"{field}.value = ''; {field}.focus()")
    tab.do("Input.insertText", text=prompt)
    tab.run("document.querySelector('#write-form .main').click()")


def status(tab: Browser, begins: str) -> str:
    """The status once it begins so, or says that there is no text."""
    pattern = f"/^({begins}|No text)/"
    until(tab, f"{pattern}.test(document.getElementById('write-status').textContent)")
    return text_of(tab, "#write-status")


def test_the_text_is_that_of_predict_py(client: Client, opened: Browser) -> None:  # noqa: F811
    """It comes in pieces; what is shown of the model is its card and its origin alone."""
    tab, writer = opened, client.writer
    expected = client.text("/v1/completions", {"prompt": PROMPT})
    assert expected == writer.write(PROMPT)
    with listening(client) as url:
        load(tab, url)
        write(tab, PROMPT)
        until(tab, "/[0-9]+ token/.test(document.getElementById('write-status').textContent)")
        assert text_of(tab, "#written") == expected
        shown = tab.run("[...document.querySelectorAll('main > section')]"
                        ".filter((one) => !one.hidden).map((one) => one.id)")  # fmt: skip
        assert shown == ["write", "origin"] or shown == ["write", "card", "origin"]
        assert client.service.current.digest in text_of(tab, "#origin-shown")
        require_quiet(tab, url)
    assert PROMPT not in json.dumps(client.log)


def test_a_text_can_be_stopped(client: Client, opened: Browser) -> None:  # noqa: F811
    """What was written by then stays, and its slot is free again."""
    tab, gate = opened, Gate(client, steps=3)
    with listening(client) as url:
        load(tab, url)
        write(tab, PROMPT)
        assert status(tab, "Writing") == "Writing …"
        tab.run("document.getElementById('write-stop').click()")
        assert status(tab, "Stopped") == "Stopped."
        gate.open()
        write(tab, PROMPT)
        assert status(tab, "[0-9]+ token")
        assert text_of(tab, "#written") == client.writer.write(PROMPT)
