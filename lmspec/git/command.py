"""command: one command of git, and what it says when it fails."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lmspec.errors import LmspecError


def run(
    place: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Whatever comes of it. Its messages are English. Raises LmspecError if git is not installed."""
    spoken = {**(os.environ if environment is None else environment), "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=place, env=spoken, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise LmspecError(
            "git", "it is not installed", "install git: what is compared is what it keeps"
        ) from None


def text(place: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What it prints; bytes that are no UTF-8 stay what they are when encoded as paths. Raises LmspecError if it fails."""
    ended = run(place, *arguments, environment=environment)
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip() or f"`git {arguments[0]}` failed"
        raise LmspecError(
            "git",
            said,
            "run lmspec in a whole git repository: `git fsck` tells whether this is one",
        )
    return ended.stdout.decode("utf-8", "surrogateescape")


def prefix(place: Path) -> str:
    """A folder's path from the top of its repository, with a slash at its end. Empty at the top, in none, and without git."""
    try:
        ended = run(place, "rev-parse", "--show-prefix")
    except LmspecError:
        return ""
    return "" if ended.returncode else ended.stdout.decode(errors="replace").removesuffix("\n")
