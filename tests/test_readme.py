"""README.md: its transcripts are what the commands print.

The project is this repository as it is committed, and builds nothing: each output is a folder with
one file, which `dvc commit` takes for what the stage made. What a build of the changed CNN gave is
in tests/readme; to renew it, make the change that README.md shows, run `dvc repro`, and copy the
files of data/metrics and data/provenance that git then calls modified.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from tests import miniature

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CUT = "..."


class Command(NamedTuple):
    """A command of a transcript, and the lines that README.md shows of what it prints."""

    text: str
    lines: tuple[str, ...]


def transcript(heading: str) -> list[Command]:
    """The first block of commands under a heading."""
    block = re.search(rf"^## {re.escape(heading)}$.*?^```\n(\$ .*?)^```$", README, re.M | re.S)
    assert block, heading
    parts = re.split(r"^\$ ", block[1], flags=re.M)[1:]
    return [Command(text, tuple(lines)) for text, *lines in map(str.splitlines, parts)]


def missing(shown: tuple[str, ...], printed: str) -> list[str]:
    """Lines that a transcript shows and a command does not print, in this order.

    Between words any number of spaces is the same, as a column is as wide as its longest cell,
    which may be cut. `...` is for any lines; at the end of a line it is for the rest of that line.
    """
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    left, place = [], 0
    for line in (" ".join(line.split()) for line in shown if line.strip() not in ("", CUT)):
        start = line.removesuffix(f" {CUT}")
        for number in range(place, len(lines)):
            if lines[number] == line or (start != line and lines[number].startswith(start)):
                place = number + 1
                break
        else:
            left.append(line)
    return left


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository, up to date, in one commit."""
    root = tmp_path_factory.mktemp("readme")
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith((".dvc/", "docs/", "tests/")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    miniature.run(root, "git", "init", "-q", "-b", "main")
    miniature.dvc(root, "init", "-q")
    miniature.lmspec(root, "sync")
    for stage, out in outputs(root):
        (root / out).mkdir(parents=True)
        (root / out / "made").write_text(stage)
    miniature.dvc(root, "commit", "-q", "-f")
    commit(root)
    return root


def outputs(root: Path) -> list[tuple[str, str]]:
    """(stage, folder) of everything in DVC's cache."""
    stages = YAML(typ="safe").load((root / "dvc.yaml").read_text())["stages"]
    return [(stage, out) for stage, entry in stages.items() for out in entry.get("outs", [])]


def commit(root: Path) -> None:
    """All that is there."""
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    miniature.run(root, "git", "add", "-A")
    miniature.run(root, "git", *name, "commit", "-q", "-m", "built")


def build(root: Path) -> None:
    """What `dvc repro` leaves after the change of the CNN, without training it."""
    shutil.copytree(ROOT / "tests/readme", root, dirs_exist_ok=True)
    changed = ("model-textcnn", "scores-textcnn")
    for stage, out in outputs(root):
        if stage in changed:
            (root / out / "made").write_text(f"{stage}, of 128 filters")
    miniature.dvc(root, "commit", "-q", "-f", *changed)


def run(root: Path, command: str) -> str:
    """What the commands print, in a project where `dvc repro` trains nothing."""
    printed = ""
    for part in command.split(" && "):
        words = shlex.split(part)
        if words == ["dvc", "repro"]:
            build(root)
        elif words[0] == "lmspec":
            done = subprocess.run(
                [sys.executable, "-m", *words],
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
            )
            printed += done.stdout + done.stderr
        else:
            assert words[0] == "sed"
            printed += miniature.run(root, *words)
    return printed


def test_the_transcript_of_a_change_is_what_the_commands_print(project: Path) -> None:
    """`plan`, `diff` and `gate`, one after the other."""
    commands = transcript("Change something")
    words = " ".join(command.text for command in commands)
    assert all(f"lmspec {name}" in words for name in ("plan", "diff", "gate"))
    for command in commands:
        printed = run(project, command.text)
        assert missing(command.lines, printed) == [], printed


def test_the_transcript_of_a_mistake_is_what_validate_prints(tmp_path: Path) -> None:
    """Line by line, and nothing else."""
    (command,) = transcript("Mistakes are caught before any compute")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    for folder in ("cases", "pairs", "phrases", "sides"):  # that it names
        shutil.copytree(ROOT / folder, tmp_path / folder)
    assert run(tmp_path, command.text).splitlines() == list(command.lines)


def test_a_line_that_is_not_printed_is_noticed() -> None:
    """Another figure, another order, a longer line: the negative control."""
    printed = "gate   floor   pass\nnext line\nok\n"
    assert missing(("gate  floor pass", CUT, "ok"), printed) == []
    assert missing(("gate floor ...", "next line"), printed) == []
    assert missing(("gate  floor fail",), printed) == ["gate floor fail"]
    assert missing(("ok", "next line"), printed) == ["next line"]
    assert missing(("gate floor",), printed) == ["gate floor"]
