"""onesource: a project of one source, which builds in a second; lmspec is outside of it."""

import shutil
import subprocess
import sys
from pathlib import Path

from lmspec.methods import folders
from tests import miniature

STAGE = (sys.executable, "-m", "lmspec.run", "sources", "new")


def make(root: Path) -> Path:
    """Write it into a folder; nothing is built yet, and DVC has no part in it."""
    (root / ".dvc").mkdir(exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(miniature.ROOT / "stages", root / "stages", ignore=ignored)
    (root / "raw").mkdir()
    (root / "raw/a.txt").write_text("x")
    declare(root)
    subprocess.run([sys.executable, "-m", "lmspec", "sync"], cwd=root, check=True)
    return root


def declare(project: Path) -> None:
    """Write the hash of `raw` into params.yaml."""
    digest = folders.sha256(project / "raw")
    (project / "params.yaml").write_text(
        f"sources:\n  new: {{kind: file, path: raw, sha256: '{digest}'}}\n"
        "numerics: {seed: 3, threads: 1, precision: fp32, instructions: avx2}\n"
        "machine: {device: cpu}\n"
    )
