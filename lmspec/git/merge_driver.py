"""merge_driver: dvc.lock and results of two branches, three-way, as git's merge driver.

dvc.lock is merged stage by stage. An entry says that one start gave one result; that is true on every branch, and a mix of two
entries never was. So an entry that one side changed is taken whole, and where both sides changed it in different ways it is left
out: DVC then builds the stage anew, or takes it from its cache.

A file of results (metrics, tables, records) cannot be merged at all: what is right is what the next build writes. Where both
sides changed one, this side's stays as it is. It passes for no result: both dvc.locks hold the MD5 of their file, so the
stage's entry differs on both sides too, and is left out. What dvc.lock does not know is stale to `lmspec gate`, and the next
`dvc repro` rewrites it.
"""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.formats.lockfile import LockFile
from lmspec.git import command as git

LOCK = lockfile.NAME
ATTRIBUTES = [f"/{path} merge=lmspec" for path in (LOCK, "data/metrics/**", "data/provenance/**")]
REMEDY = "take one side, `git checkout --ours dvc.lock`, then `dvc repro`"
NAME = "lmspec: dvc.lock stage by stage, results built anew"


@dataclass(frozen=True)
class Merged:
    """text: of the merged dvc.lock; dropped: stages whose entry is left out, since both sides changed it."""

    text: str
    dropped: tuple[str, ...]


def lock(base: str, ours: str, theirs: str) -> Merged:
    """Three dvc.locks as one. base: that of the commit where the branches parted, empty if it had none.

    Raises LmspecError if one is not as DVC writes it, or if both sides changed in different ways what is no stage.
    """
    if base and not (ours and theirs):  # DVC was killed while it wrote it: no stage was removed
        remedy = f"take the other side, `git checkout --{'ours' if ours else 'theirs'} dvc.lock`, then `dvc repro`"
        raise LmspecError(LOCK, "it is not as DVC writes it: that of one side is empty", remedy)
    old, one, other = (read(text) for text in (base, ours, theirs))
    sections: dict[str, str] = {}
    for name in {**one.sections, **other.sections}:
        agreed, text = _chosen(*(side.sections.get(name) for side in (old, one, other)))
        if not agreed:
            raise LmspecError(
                LOCK,
                f"both sides changed its `{name}`, which is no stage",
                "edit it by hand, then `git add dvc.lock`",
            )
        sections |= {} if text is None else {name: text}
    stages: dict[str, str] = {}
    dropped: list[str] = []
    for name in {**one.stages, **other.stages}:
        agreed, text = _chosen(*(side.stages.get(name) for side in (old, one, other)))
        stages |= {name: text} if text else {}
        dropped += [] if agreed else [name]
    return Merged(LockFile(sections, stages).text(), tuple(dropped))


def _chosen(base: str | None, ours: str | None, theirs: str | None) -> tuple[bool, str | None]:
    """(True, what both sides agree on, or the one side changed), or (False, None). None: it is not there."""
    if ours == theirs or theirs == base:
        return True, ours
    return (True, theirs) if ours == base else (False, None)


def read(text: str) -> LockFile:
    """The pieces of a dvc.lock. Raises LmspecError if DVC did not write it."""
    pieces = lockfile.split(text)
    try:
        whole = list(lockfile.runs(text)) == list(pieces.stages) and text.endswith("\n")
    except LmspecError:
        whole = False
    if text and not whole:
        raise LmspecError(LOCK, "it is not as DVC writes it", REMEDY)
    return pieces


def stage_of(path: str) -> str:
    """The stage that wrote a file of results: `data/metrics/scores-a.json` and `data/metrics/scores-a/rows.csv` -> `scores-a`."""
    found = re.search(r"(?:^|/)data/(?:metrics|provenance)/([^/.]+)", path)
    return found[1] if found else ""


def install(root: Path) -> None:
    """Make git use the driver in this clone: the lines of .gitattributes, which are committed, and git's own configuration.

    Raises LmspecError outside of a git repository.
    """
    # -P: git runs it at the top of the working tree, and what lies there is no module of ours
    driver = (
        f"{shlex.quote(sys.executable)} -P -m lmspec merge-driver".replace("%", "%%")
        + " %O %A %B %P"
    )
    for key, value in (
        ("driver", driver),
        ("name", NAME),
    ):  # a name alone makes git refuse every merge
        _configure(root, f"merge.lmspec.{key}", value)
    path = root / ".gitattributes"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in ATTRIBUTES if line not in text.splitlines()]
    if missing:
        path.write_text("\n".join([*text.splitlines(), *missing, ""]), encoding="utf-8")


def _configure(root: Path, key: str, value: str) -> None:
    run = git.run(root, "config", "--local", key, value)
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip()
        remedy = "run it in a clone: `git init`, if there is none yet"
        raise LmspecError(str(root), f"git cannot be configured here: {said}", remedy)
