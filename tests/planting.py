"""planting: run a stage of the miniature with a statement put into its build."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import miniature

MARK = "    if spec.accepted_test_corrections is None:"


def copied(built: Path, folder: Path) -> Path:
    """A project in which splits-old can run."""
    heavy = shutil.ignore_patterns("cache", "model", "exported", "student", "updated")
    return Path(shutil.copytree(built, folder, ignore=heavy))


@contextlib.contextmanager
def planted(project: Path, statement: str) -> Iterator[None]:
    """A statement in the build of splits-old, for a while."""
    script = project / "stages/splits.py"
    source = script.read_text()
    assert source.count(MARK) == 1
    lines = "\n".join(f"    {line}" for line in statement.splitlines())
    script.write_text(source.replace(MARK, f"{lines}\n{MARK}"))
    try:
        yield
    finally:
        script.write_text(source)


def run(project: Path, statement: str, code: int, stdin: str = "", **variables: str) -> str:
    """Run splits-old with a statement put into its build; what it printed.

    code: its exit code; variables: of the environment, beside this process's
    """
    with planted(project, statement):
        done = subprocess.run(
            [sys.executable, "-m", "lmspec.run", "splits", "old"],
            cwd=project,
            env=miniature.environment() | variables,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    output = done.stdout + done.stderr
    assert done.returncode == code, f"exit {done.returncode}:\n{output}"
    return output
