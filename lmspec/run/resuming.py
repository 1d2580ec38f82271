"""resuming: the place of a stage that outlives a kill, named after all that its result depends on.

`.lmspec/resume/<stage>/<cache key>/`. No build is given the place of another key; all
of them go when the stage is done.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.methods import folders
from lmspec.methods.resume import Resume
from lmspec.run import declaration, inputs, interpreter
from lmspec.run.declaration import Declaration

MOST_OTHERS = 2  # places of other keys that stay: an edit that is taken back goes on, too


def is_wanted(declared: Declaration, values: Mapping[str, Mapping[str, Any]]) -> bool:
    """Does a stage use its place? The key of another one's would be computed in vain.

    What fetches is declared by its hash, and nothing is known of it before.
    """
    return not declared.fetches and declaration.keeps(declared, values)


def place(root: Path, declared: Declaration) -> Path:
    """The folder of a stage's places."""
    return root / declaration.OURS / ("sweep" if declared.searches else "resume") / declared.stage


def key(
    declared: Declaration,
    values: Mapping[str, Mapping[str, Any]],
    digests: Mapping[str, str],
) -> str:
    """Digest of all by which DVC knows a run of the stage, and of where it computes.

    DVC takes a checkpoint's bits for a function of the former; a training that went on on another
    device or processor would have bits of both.
    """
    watched = {
        file: {name: values[file][name] for name in names if _is_of_all(declared, name)}
        for file, names in declared.watched.items()
    }
    device = (values[declaration.PARAMS].get("machine") or {}).get("device")
    parts = {
        "stage": [declared.command, declared.outs],
        "params": watched,
        "deps": digests,
        "machine": [device, interpreter.processor()],
    }
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_of_all(declared: Declaration, name: str) -> bool:
    """Of a search, does a parameter hold for all that it keeps? Each trial names its section."""
    of_artifacts = name.partition(".")[0] not in (
        *declaration.SHARED,
        "python",
        "packages",
        "lmspec",
    )
    return not (declared.searches and of_artifacts)


def digests(root: Path, declared: Declaration, hasher: folders.Hasher) -> dict[str, str]:
    """Dependency -> SHA-256 of its content."""
    return {dep: folders.sha256(root / dep, hasher) for dep in declared.deps}


def opened(
    root: Path,
    declared: Declaration,
    values: Mapping[str, Mapping[str, Any]],
    hasher: folders.Hasher,
) -> Resume:
    """The place for a build of the stage as it is now; older ones of other keys are removed."""
    marks = inputs.marks(root, declared)
    before = digests(root, declared, hasher)
    folder = place(root, declared) / key(declared, values, before)
    others = [path for path in _places(root, declared) if path != folder]
    for path in others[MOST_OTHERS:]:
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):  # who writes there says why it cannot
        folder.mkdir(parents=True, exist_ok=True)
    held = folder.is_dir() and any(folder.iterdir())

    def unchanged() -> bool:
        same = inputs.marks(root, declared) == marks
        return same or digests(root, declared, folders.of_file) == before

    return Resume(folder, unchanged, held)


def _places(root: Path, declared: Declaration) -> list[Path]:
    """Newest first."""
    folder = place(root, declared)
    found = list(folder.iterdir()) if folder.is_dir() else []
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def closed(root: Path, declared: Declaration, done: bool) -> None:
    """Remove the stage's places if it is done, else those in which there is nothing.

    A search keeps its own: a wider one goes on from there.
    """
    if done and not declared.searches:
        shutil.rmtree(place(root, declared), ignore_errors=True)
    for folder in [*_places(root, declared), place(root, declared)]:
        with contextlib.suppress(OSError):
            folder.rmdir()
