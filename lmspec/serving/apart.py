"""apart: a bundle that answers in a process of its own, which may fail without any other."""

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lmspec.errors import LmspecError

START_SECONDS, ANSWER_SECONDS = 120.0, 60.0


class Shadowed(NamedTuple):
    """What a shadow answers: no label if it finds nothing to read."""

    label: str | None
    confidence: float | None
    bundle: str


class Failed(Exception):
    """A text has no answer; the next may have one."""


class Process:
    """A bundle in a process of its own, which is of use once it is `open`."""

    name: str
    digest: str
    labels: Sequence[str]

    def __init__(self, folder: Path, any_owner: bool) -> None:
        self._folder = folder
        self._socket, theirs = socket.socketpair()
        # -P: a folder called lmspec, wherever this is started, is not imported
        command = [sys.executable, "-P", "-m", "lmspec.serving.shadowed", str(folder)]
        with theirs:
            self._process = subprocess.Popen(
                [*command, *(["--any-owner"] if any_owner else [])],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for the service. No session of its own: Linux may share processors
                # evenly among sessions, whatever the priorities in them.
                process_group=0,
            )
        self._lines = self._socket.makefile("rb")

    def open(self) -> None:
        """Wait until it has loaded the bundle. Raises LmspecError if it cannot, and is closed."""
        try:
            about = self._line(START_SECONDS)
            if "refused" in about:
                raise LmspecError(*about["refused"])
        except (OSError, ValueError) as error:
            self.close()
            found = f"its process did not start: {type(error).__name__}"
            remedy = "`lmspec serve` of the folder says why; or leave --shadow out"
            raise LmspecError(str(self._folder), found, remedy) from None
        except LmspecError:
            self.close()
            raise
        self.name, self.digest, self.labels = about["name"], about["digest"], about["labels"]

    @property
    def number(self) -> int:
        """By which the system knows it."""
        return int(self._process.pid)

    def answer(self, text: str) -> Shadowed:
        """Raises Failed; OSError or ValueError if the process is of no use any more."""
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.sendall(json.dumps({"text": text}).encode() + b"\n")
        values = self._line(ANSWER_SECONDS)
        if "failed" in values:
            raise Failed(values["failed"])
        return Shadowed(values["label"], values["confidence"], self.digest)

    def kill(self) -> None:
        """Called by any thread: what waits for it fails at once."""
        self._process.kill()

    def close(self) -> None:
        """It ends with its input, or is ended."""
        self._lines.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _line(self, seconds: float) -> dict[str, Any]:
        self._socket.settimeout(seconds)
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("it has ended")
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("it writes no object")
        return values
