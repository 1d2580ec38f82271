"""dvc: what DVC says of the workspace, asked through its command line, the part of it that it promises to keep."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lmspec.errors import LmspecError


def status(root: Path, targets: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """`dvc status --json`: stage -> what changed since its last run; stages that are up to date are not in it."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json"]
    command += ["--with-deps", *targets] if targets else []
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")] or [run.stderr.strip()]
        raise LmspecError(
            "dvc status",
            lines[0],
            "run `lmspec sync` if dvc.yaml is at fault; if dvc.lock has conflict markers, take one side, then `dvc repro`",
        )
    changed: dict[str, list[Any]] = json.loads(run.stdout)
    return changed


def recorded_params(root: Path) -> dict[str, dict[str, Any]]:
    """Stage -> name of each parameter -> its value at the last run, from dvc.lock. Empty if nothing was ever run."""
    path = root / "dvc.lock"
    if not path.exists():
        return {}
    document = YAML(typ="safe").load(path) or {}
    return {stage: entry.get("params", {}).get("params.yaml", {}) for stage, entry in (document.get("stages") or {}).items()}
