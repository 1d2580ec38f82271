"""subprocesses: environment and end of the processes that lmspec starts, such as `dvc repro`."""

import getpass
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from lmspec.git import command as git
from lmspec.run import lifetime


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment with this interpreter first on PATH, since dvc.yaml says `python`.

    Output is unbuffered, and DVC reads the project's own repository.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{base.get('PATH', '')}"
    return {**git.environment(base), **user(), "PATH": path, "PYTHONUNBUFFERED": "1"}


def no_python(root: Path) -> str | None:
    """What to do if `dvc repro` finds no Python in a project; None if it does."""
    if shutil.which("python", path=f"{root / '.venv/bin'}{os.pathsep}{os.environ.get('PATH', '')}"):
        return None
    return (
        "`dvc repro` will find no `python`, neither in .venv/bin nor on PATH"
        " -> activate the environment, or build with `lmspec build`"
    )


def user() -> dict[str, str]:
    """A name for a user who has none, as in `docker run --user 12345`: DVC fails without one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        return {"LOGNAME": f"user-{os.getuid()}"}
    return {}


def die_with_parent() -> None:
    """For `preexec_fn`: if lmspec is killed, so is its DVC; a stage notices that itself."""
    lifetime.die_with_parent(os.getppid(), signal.SIGTERM)


def repro(
    place: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start `dvc repro` in its own process group, which Ctrl-C does not reach."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *arguments],
        cwd=place,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
        preexec_fn=die_with_parent,
    )


def run_module(*command: str, show: Callable[[str], None] | None = None) -> int:
    """Run `python -m command`, its output passing through. Returns the exit code.

    show  gets each line of the output instead

    Ctrl-C reaches the module too (DVC then stops its stage and writes dvc.lock): raises
    KeyboardInterrupt once it has ended.
    """
    if sys.stdout is not None:  # None if it was closed from the start
        sys.stdout.flush()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if show else None,
        stderr=subprocess.STDOUT if show else None,
        text=True,
        errors="replace",
    )
    interrupt = None
    while process.returncode is None:
        try:
            if show and process.stdout:
                for line in process.stdout:
                    show(line.rstrip("\n"))
            process.wait()
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt
    return process.returncode
