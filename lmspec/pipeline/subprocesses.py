"""subprocesses: environment and end of the processes that lmspec starts, such as `dvc repro`."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """With this interpreter first on PATH, since dvc.yaml says `python`, and output unbuffered."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{base.get('PATH', '')}"
    return {**base, "PATH": path, "PYTHONUNBUFFERED": "1"}


def die_with_parent() -> None:
    """For `preexec_fn`: if lmspec is killed, so is the DVC it started; a stage notices that itself."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
