"""leftovers: what runs of stages that were killed have left on disk. A stage that runs again clears its own away."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lmspec.run import declaration
from lmspec.specs.names import ArtifactName


def sweep(root: Path) -> list[str]:
    """Remove the folders of runs that no process is at work in any more; the names of the stages whose are gone."""
    swept = []
    for scratch in sorted((root / declaration.OURS / "run").glob("*-*")):
        with _nobody_runs(root, scratch.name) as free:
            if free:
                name = ArtifactName.of_stage(scratch.name)
                stage = declaration.Declaration(name, (), (), {})
                folders = [root / folder for folder in (stage.scratch, stage.partial)]
                for folder in folders:
                    shutil.rmtree(folder, ignore_errors=True)
                if not any(os.path.lexists(folder) for folder in folders):
                    swept.append(scratch.name)
    return swept


@contextlib.contextmanager
def _nobody_runs(root: Path, stage: str) -> Iterator[bool]:
    """Whether the lock that each run of a stage holds is free. A run that starts while the block lasts waits for its end.

    Where it cannot be taken, as in a file system without locks, nobody knows, and it counts as held.
    """
    path = root / declaration.OURS / "lock" / stage
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            held.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError:
            free = False
        yield free
