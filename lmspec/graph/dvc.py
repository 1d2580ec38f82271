"""dvc: what DVC says of the workspace, asked through its command line, the part of it that it promises to keep."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError


def status(root: Path, targets: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """`dvc status --json`: stage -> what changed since its last run; stages that are up to date are not in it."""
    run = _dvc(root, "status", "--json", *(["--with-deps", *targets] if targets else []))
    if run.returncode:
        raise LmspecError(
            "dvc status",
            _error(run),
            "run `lmspec sync` if dvc.yaml is at fault; if dvc.lock has conflict markers, take one side, then `dvc repro`",
        )
    changed: dict[str, list[Any]] = json.loads(run.stdout)
    return changed


def commit(root: Path, stages: list[str]) -> None:
    """`dvc commit`: record that the outputs of those stages are what their inputs, as they are now, give."""
    run = _dvc(root, "commit", "--force", *stages)
    if run.returncode:
        raise LmspecError("dvc commit", _error(run), "see `dvc status`; nothing is lost")


def _dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def _error(run: subprocess.CompletedProcess[str]) -> str:
    """The first line that DVC calls an error, or all that it said."""
    return next((line for line in run.stderr.splitlines() if line.startswith("ERROR")), run.stderr.strip())
