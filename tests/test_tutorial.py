"""docs/tutorial.md: its service answers, and its commands and options are there."""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lmspec.cli.main import main
from tests.test_predict import LABELS, bundle

TUTORIAL = (Path(__file__).parent.parent / "docs/tutorial.md").read_text()
__all__ = ["bundle"]


@pytest.fixture
def service(bundle: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the service of the page, on a free port."""
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    (code,) = re.findall(r"^```python\n(.*?)^```", TUTORIAL, re.M | re.S)
    assert "8000" in code
    (folder / "service.py").write_text(code.replace("8000", "0"))
    command = [sys.executable, str(folder / "service.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def asked(address: str, content: bytes) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(address, data=content)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_service_answers_each_text_and_refuses_what_is_none(service: str) -> None:
    """One answer a text, with every label; anything else is answered with what to send."""
    status, answer = asked(service, json.dumps({"texts": ["good one", "bad"]}).encode())
    assert status == 200
    assert [set(each) for each in answer["answers"]] == [set(LABELS)] * 2  # type: ignore[attr-defined]
    for content in (b"", b"{}", b'{"texts": 3}', b"[]", b"\xff"):
        status, answer = asked(service, content)
        assert status == 400 and "texts" in str(answer["error"]), content


def test_the_commands_of_the_page_have_these_options() -> None:
    """Each `$ lmspec COMMAND --option` is one that the program has."""
    blocks = re.findall(r"^```\n(\$ .*?)^```", TUTORIAL, re.M | re.S)
    commands = re.findall(r"lmspec (\w+)((?: [^&\n]*(?:\\\n)?)*)", "\n".join(blocks))
    assert {name for name, _ in commands} == {"init", "show", "gate", "set", "diff"}
    for name, rest in commands:
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        known = {option for p in command.params for option in p.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known, name
