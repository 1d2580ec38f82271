"""resume: where a stage keeps what it needs to go on after it was killed, and how far it was.

Standard library only: the supervisor makes the folder, a training writes there, `lmspec plan`
reads how far it came.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "checkpoint.json"


@dataclass(frozen=True)
class Resume:
    """A place of a stage that outlives its processes, and goes when the stage is done.

    folder     named after the stage and a digest of all that its result depends on
    unchanged  are the inputs still those of which the name is a digest? Only then may be written
    held       was there something in it when the stage began?
    own        False: another process writes there, and this one reads
    """

    folder: Path
    unchanged: Callable[[], bool]
    held: bool = False
    own: bool = True


@dataclass(frozen=True)
class Reached:
    """How far a training came, and the file that holds its state.

    step, steps  optimizer steps that are done, and in all epochs
    file, sha256  name beside this, and digest of its bytes
    """

    step: int
    steps: int
    file: str
    sha256: str

    def write(self, folder: Path) -> None:
        """As a whole or not at all: from here on it counts."""
        partial = folder / f"{NAME}.partial"
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(folder / NAME)
        sync(folder)

    @classmethod
    def read(cls, folder: Path) -> "Reached | None":
        """None if there is none. Raises ValueError if it is damaged."""
        try:
            found = json.loads((folder / NAME).read_bytes())
        except FileNotFoundError:
            return None
        kinds = {"step": int, "steps": int, "file": str, "sha256": str}
        whole = isinstance(found, dict) and {k: type(v) for k, v in found.items()} == kinds
        if not whole or Path(found["file"]).name != found["file"]:
            raise ValueError(f"{NAME} is malformed")
        return cls(**found)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
