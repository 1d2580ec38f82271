"""objects: hash what DVC's cache holds, since DVC itself takes an object's name for its hash."""

import contextlib
import functools
import hashlib
import json
import os
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.pipeline import dvc
from lmspec.pipeline.run_cache import RunCache
from lmspec.run.digests import Identity
from lmspec.specs.names import METRICS, PROVENANCE

FOLDER = ".dir"  # ends the name of an object that lists the files of a folder
EMPTY = hashlib.md5(b"", usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Inspection:
    """What was found.

    damages  each with its remedy
    whole    number of objects whose content has the hash that is their name
    absent   number of objects of last runs that the cache lacks
    """

    damages: tuple[LmspecError, ...]
    whole: int
    absent: int


@dataclass(frozen=True)
class Part:
    """A file of an output, or the list of a folder's files.

    md5   according to dvc.lock, the run-cache or a folder's list
    path  from the root of the project
    """

    md5: str
    path: str


class Cache:
    """The objects of DVC's cache, each hashed once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.faults: dict[str, str | None] = {}  # object -> its damage, "" if whole, None if absent

    def place(self, md5: str) -> Path:
        """Where DVC keeps an object."""
        return self._folder / md5[:2] / md5[2:]

    def parts(self, md5: str, path: str) -> list[Part]:
        """The parts of an output, as far as its list can be read. Hashes each of them."""
        parts = [Part(md5, path)]
        if md5.endswith(FOLDER) and self._fault(md5) == "":
            with contextlib.suppress(ValueError, TypeError, KeyError):
                listed = json.loads(self.place(md5).read_bytes())
                parts += [Part(file["md5"], f"{path}/{file['relpath']}") for file in listed]
        for part in parts:
            self._fault(part.md5)
        return parts

    def _fault(self, md5: str) -> str | None:
        if md5 not in self.faults:
            place = self.place(md5)
            self.faults[md5] = fault(place, md5) if os.path.lexists(place) else None
        return self.faults[md5]


def inspect(root: Path, stages: Collection[str] = ()) -> Inspection:
    """Hash the objects that dvc.lock and the run-cache name, and the outputs that are here.

    stages  check only the last runs of these; if empty, all last and earlier runs
    Raises LmspecError if dvc.lock or DVC's configuration cannot be read.
    """
    folder, runs = dvc.caches(root)
    cache, absent = Cache(folder), 0
    damages: list[LmspecError] = []
    for stage, run in lockfile.runs(lockfile.text_in(root)).items():
        for path, md5 in run.outs.items() if not stages or stage in stages else ():
            parts = cache.parts(md5, path) if md5 else []
            damages += _of_last_run(root, stage, path, parts, cache)
            in_git = path.startswith((f"{METRICS}/", f"{PROVENANCE}/"))
            absent += sum(cache.faults[p.md5] is None for p in parts if not in_git)
    for part in _of_earlier_runs(cache, runs) if not stages else ():
        place = cache.place(part.md5)
        found = f"{cache.faults[part.md5]}; an earlier run made it, as {part.path}"
        remedy = f"`rm -f {_quoted(place)}`: what needs it is then built again"
        damages.append(LmspecError(_shown(place), found, remedy))
    whole = sum(damage == "" for damage in cache.faults.values())
    return Inspection(tuple(damages), whole, absent)


def _of_last_run(
    root: Path, stage: str, path: str, parts: Sequence[Part], cache: Cache
) -> Iterator[LmspecError]:
    """The damage of one output, in the cache or in the working tree."""
    damaged = [part for part in parts if cache.faults[part.md5]]
    if damaged:
        places = dict.fromkeys(cache.place(part.md5) for part in damaged)
        found = "damaged in DVC's cache:" + "".join(
            f"\n  {part.path}: {_shown(cache.place(part.md5))} {cache.faults[part.md5]}"
            for part in damaged
        )
        remedy = (
            f"`rm -rf {_quoted(*places, Path(path))}`, then `dvc repro {stage}` builds it again; "
            f"`dvc pull {stage}` fetches it instead, if the remote's is whole"
        )
        yield LmspecError(path, found, remedy)
        return
    here = [part for part in parts if not part.md5.endswith(FOLDER)]
    wrong = [
        part.path for part in here if (root / path).exists() and fault(root / part.path, part.md5)
    ]
    if wrong:
        found = f"{wrong[0]} is not what dvc.lock names"
        if set(wrong) != {path}:
            found += f"; {len(wrong)} of {len(here)} files are not"
        yield LmspecError(
            path, found, f"`rm -rf {_quoted(Path(path))}`, then `dvc checkout {stage}`"
        )


def _of_earlier_runs(cache: Cache, runs: Path) -> Iterator[Part]:
    """Damaged objects that only earlier runs name."""
    known = set(cache.faults)
    for _, entry in RunCache(runs).of_command(None):
        for out in entry.get("outs", ()):
            for part in cache.parts(out["md5"], out["path"]) if "md5" in out else ():
                if part.md5 not in known and cache.faults[part.md5]:
                    yield part
                known.add(part.md5)


def fault(file: Path, md5: str) -> str:
    """What is wrong with a file whose name promises that MD5; empty if nothing is."""
    try:
        here = _md5(file, Identity.of(file.stat()))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if here == md5.removesuffix(FOLDER):
        return ""
    return "has 0 bytes" if here == EMPTY else f"has other content, with MD5 {here}"


@functools.lru_cache(maxsize=100_000)
def _md5(file: Path, identity: Identity) -> str:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()


def _shown(place: Path) -> str:
    """Relative to the project if it is inside."""
    path = os.path.relpath(place)
    return str(place) if path.startswith("..") else path


def _quoted(*places: Path) -> str:
    return shlex.join(map(_shown, places))
