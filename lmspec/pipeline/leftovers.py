"""leftovers: what killed runs of stages left on disk. A stage that reruns removes its own."""

import fcntl
import os
import shutil
from pathlib import Path

from lmspec.run import declaration
from lmspec.specs.names import ArtifactName


def sweep(root: Path) -> list[str]:
    """Remove the folders of runs that have no process any more; returns their stages."""
    swept = []
    for scratch in sorted((root / declaration.OURS / "run").glob("*-*")):
        lock = _lock(root, scratch.name)
        if lock is None:
            continue
        stage = declaration.Declaration(ArtifactName.of_stage(scratch.name), (), (), {})
        folders = [root / folder for folder in (stage.scratch, stage.partial)]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if not any(os.path.lexists(folder) for folder in folders):
            swept.append(scratch.name)
    return swept


def _lock(root: Path, stage: str) -> int | None:
    """Take the lock that a run of the stage holds: a file to close, so that a new run waits for it.

    None if it is taken, or cannot be, as on a file system without locks.
    """
    path = root / declaration.OURS / "lock" / stage
    try:
        path.parent.mkdir(exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
