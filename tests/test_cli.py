"""The command line and what is written about it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmspec.cli.main import COMMANDS
from tests import light

ROOT = Path(__file__).parent.parent


def lmspec(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lmspec", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    """A command is learned from an example."""
    output = lmspec(name, "--help").stdout
    assert "Example:" in output and f"lmspec {name}" in output


def test_help_lists_the_commands_and_an_unknown_one_is_a_usage_error() -> None:
    """Exit code 2 is for usage."""
    assert all(line in lmspec("--help").stdout for line in COMMANDS.values())
    wrong = lmspec("valdate")
    assert wrong.returncode == 2 and "No such command" in wrong.stderr


def test_validate_imports_nothing_heavy() -> None:
    """A mistake costs a moment: checking a spec loads no library that computes, nor pydantic."""
    light.output("validate")


def test_a_mistake_ends_in_one_and_no_traceback(tmp_path: Path) -> None:
    """No params.yaml, an unknown stage or revision: exit 1, or 2 if nothing can be compared."""
    for arguments, cwd, code in (
        (("validate",), tmp_path, 1),
        (("plan", "nonsense"), ROOT, 1),
        (("diff", "no-such"), ROOT, 2),
    ):
        run = lmspec(*arguments, cwd=cwd)
        assert run.returncode == code and "->" in run.stderr and "Traceback" not in run.stderr


def test_annotations_have_the_path_from_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In none, or without git, it is the one that was given."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part/params.yaml").write_text("model: 3\n")

    def paths(*path: str) -> set[str]:
        printed = [
            lmspec("validate", *path, "--format", form, cwd=tmp_path / "part").stdout
            for form in ("github", "sarif")
        ]
        return {
            *re.findall(r"::error file=(.*?),", printed[0]),
            *re.findall(r'"uri": "(.*?)"', printed[1]),
        }

    assert paths() == {"params.yaml"}
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert paths() == paths("../part/params.yaml") == {"part/params.yaml"}
    assert paths(str(tmp_path / "part/params.yaml")) == {str(tmp_path / "part/params.yaml")}
    monkeypatch.setenv("PATH", "")
    assert paths() == {"params.yaml"}
