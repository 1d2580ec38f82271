"""stopped: how far a training came that was stopped, if the next run of its stage goes on there."""

from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.methods.resume import Reached
from lmspec.run import declaration, digests, resuming
from lmspec.specs.names import ArtifactName


def reached(root: Path, stage: str) -> Reached | None:
    """Of the last of its seeds; None if it starts at its first step."""
    name = ArtifactName.of_stage(stage)
    try:
        declared = declaration.read(root, name)
        if not resuming.place(root, declared).is_dir():
            return None
        values = declaration.values(root, declared)
        found = resuming.digests(root, declared, digests.Store(root).sha256)
        folder = resuming.place(root, declared) / resuming.key(declared, values, found)
        seeds = sorted(folder.glob("*/"), key=lambda seed: seed.stat().st_mtime)
        return Reached.read(seeds[-1]) if seeds else None
    except (LmspecError, OSError, ValueError):  # the stage itself says what is wrong
        return None
