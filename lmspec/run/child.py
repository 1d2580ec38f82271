"""child: the process that builds a stage, and can do nothing else: what it may touch, and how it ends."""

import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lmspec.errors import LmspecError
from lmspec.run import denial, inputs, interpreter, sandbox, toolchain
from lmspec.run.declaration import Stage

PR_SET_PDEATHSIG = 1
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Building:
    """What a build knows.

    values     what its parameters are, by file and name
    temporary  its folder for temporary files: outside of the project, since a socket's path must be short
    sealed     who enforces the seal
    advice     how to get the output of an earlier run back, if DVC has removed one
    """

    root: Path
    stage: Stage
    values: dict[str, dict[str, Any]]
    temporary: Path
    allowed: sandbox.Allowed
    sealed: str
    advice: str


current: Building | None = None


def enter(
    root: Path, stage: Stage, values: dict[str, dict[str, Any]], temporary: Path, advice: str
) -> None:
    """Turn this process into one that can build the stage and do nothing else."""
    global current
    allowed = allowed_to(root.resolve(), stage, temporary)
    sealed = sandbox.OPEN
    if stage.noun != "sources":
        home = str((root / stage.scratch).resolve())
        os.environ.update({"TMPDIR": str(temporary), "HOME": home, "XDG_CACHE_HOME": home})
        tempfile.tempdir = None  # it was asked for before
        sealed = sandbox.close(allowed)
        if any(root.resolve().is_relative_to(place) for place in allowed.write):
            sealed = sandbox.UNENFORCED  # a project in /dev/shm, which every stage may write
    current = Building(root, stage, values, temporary, allowed, sealed, advice)
    sys.excepthook = _tell


def allowed_to(root: Path, stage: Stage, temporary: Path) -> sandbox.Allowed:
    """What the build of a stage may touch."""
    read, write = sandbox.surroundings(root)
    links = (
        file for file in inputs.files(root, stage) if file.is_symlink()
    )  # DVC can have linked them into its cache
    own = [
        *(root / dep for dep in stage.deps),
        *links,
        *(module_file(name) for name in stage.modules),
    ]
    made = [root / stage.partial, root / stage.scratch, temporary]
    return sandbox.Allowed(
        read=(*read, *(path.resolve() for path in own)),
        write=(*write, *(path.resolve() for path in made)),
        names=(root, interpreter.PACKAGE),
    )


def module_file(name: str) -> Path:
    """Where a module of an installed lmspec lies; a package is called `name.__init__`."""
    return interpreter.PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")


def leave(better: Mapping[str, str]) -> None:
    """The last act of a build: tell the parent which packages it has imported, who enforced the seal, and what is better."""
    if current is None:
        raise RuntimeError("there is no build to leave")
    about = {
        "sealed": current.sealed,
        "loaded": toolchain.loaded(current.root),
        "better": dict(better),
    }
    (current.root / current.stage.scratch / "about.json").write_text(
        json.dumps(about), encoding="utf-8"
    )


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    said = explained(error)
    if said is not None:
        print(f"lmspec: {said}{current.advice if current else ''}", file=sys.stderr)
    else:
        interpreter.quiet_when_interrupted(kind, error, trace)


def explained(error: BaseException) -> LmspecError | None:
    """The error that a user sees, if it is one of theirs or shows that a file was kept from the stage."""
    if current is not None and current.sealed != sandbox.OPEN:
        refused = denial.refused(error, current.allowed, current.root)
        if refused is not None:
            place = denial.place(error, current.root, current.stage.name)
            return denial.as_error(refused, place, current.stage)
    return error if isinstance(error, LmspecError) else None


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent is gone, at once if it is already. Elsewhere a thread looks."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        watch_parent()


def tie_workers(lock: int) -> None:
    """Let a process that is forked from this one end with it, and not hold its lock."""

    def tie() -> None:
        os.close(lock)
        watch_parent()

    os.register_at_fork(after_in_child=tie)


def watch_parent() -> None:
    """For a worker of a build, which any of its threads can have started: the kernel would kill it with that thread."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    with contextlib.suppress(RuntimeError):  # at exit no thread can be started
        threading.Thread(target=watch, daemon=True).start()
