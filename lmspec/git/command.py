"""command: run git, and report why it failed."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lmspec.errors import LmspecError


def run(
    place: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The process, whatever its exit code, with messages in English.

    Raises LmspecError if git is not installed.
    """
    english = {**(os.environ if environment is None else environment), "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=place, env=english, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise LmspecError(
            "git", "it is not installed", "install git; lmspec compares committed results"
        ) from None


def text(place: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What git prints; bytes that are not UTF-8 survive. Raises LmspecError if it fails."""
    process = run(place, *arguments, environment=environment)
    if process.returncode:
        message = process.stderr.decode(errors="replace").strip()
        raise LmspecError(
            "git",
            message or f"`git {arguments[0]}` failed",
            "run lmspec in an intact git repository: `git fsck` checks this one",
        )
    return process.stdout.decode("utf-8", "surrogateescape")


def prefix(place: Path) -> str:
    """A folder's path in its repository, with a final slash; empty at the top or outside."""
    try:
        return text(place, "rev-parse", "--show-prefix").removesuffix("\n")
    except LmspecError:
        return ""
