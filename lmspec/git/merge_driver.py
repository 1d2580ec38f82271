"""merge_driver: git's merge driver for dvc.lock (stage by stage) and for results.

An entry of dvc.lock records that certain inputs gave certain outputs. That is true on every branch,
but a mix of two entries never is. So an entry that one side changed is taken whole, and one that
both branches changed differently is left out: DVC then rebuilds the stage, or restores it.

Results (metrics, tables, provenance) cannot be merged; the next build writes the right ones. Where
both branches changed a file, that of the current branch stays. It is not taken for a result
meanwhile: each dvc.lock holds its MD5, so its stage's entry differs as well and is left out. To
`lmspec gate` the metrics are out of date until the next `dvc repro`.
"""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.formats.lockfile import LockFile
from lmspec.git import command as git
from lmspec.git import line_endings
from lmspec.methods import folders

LOCK = lockfile.NAME
ATTRIBUTES = [
    line_endings.PINNED,
    *(f"/{path} merge=lmspec" for path in (LOCK, "data/metrics/**", "data/provenance/**")),
    # lines are only added to answers of people: those of both branches hold
    *(f"/labels/{noun}-*.csv merge=union" for noun in ("queue", "suspects")),
]
REMEDY = "take one side, `git checkout --ours dvc.lock`, then `dvc repro`"
NAME = "lmspec: dvc.lock stage by stage, results rebuilt"


@dataclass(frozen=True)
class Merged:
    """A merged dvc.lock. dropped: stages left out, because both branches changed their entry."""

    text: str
    dropped: tuple[str, ...]


def lock(base: str, ours: str, theirs: str) -> Merged:
    """Merge three dvc.locks. base: that of the merge base, empty if it had none.

    Raises LmspecError if DVC did not write one of them, or if both branches changed another section
    than `stages`.
    """
    if base and not (ours and theirs):  # DVC was killed while writing: no stage was removed
        side = "ours" if ours else "theirs"
        remedy = f"take the other version, `git checkout --{side} dvc.lock`, then `dvc repro`"
        raise LmspecError(LOCK, "it is empty on one side", remedy)
    locks = [read(text) for text in (base, ours, theirs)]
    sections, conflicts = _merged(*(lock.sections for lock in locks))
    if conflicts:
        raise LmspecError(
            LOCK,
            f"both branches changed its `{conflicts[0]}`, which is no stage",
            "edit it by hand, then `git add dvc.lock`",
        )
    stages, dropped = _merged(*(lock.stages for lock in locks))
    return Merged(LockFile(sections, stages).text(), tuple(dropped))


def _merged(
    base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """(name -> text, where the sides agree or one of them changed it; names of the conflicts)."""
    texts: dict[str, str] = {}
    conflicts = []
    for name in {**ours, **theirs}:
        old, one, other = (version.get(name) for version in (base, ours, theirs))
        if old != one != other != old:
            conflicts.append(name)
            continue
        text = other if one == old else one
        texts |= {} if text is None else {name: text}
    return texts, conflicts


def read(text: str) -> LockFile:
    """The pieces of a dvc.lock. Raises LmspecError if DVC did not write it."""
    pieces = lockfile.split(text)
    try:
        whole = list(lockfile.runs(text)) == list(pieces.stages) and text.endswith("\n")
    except LmspecError:
        whole = False
    if text and not whole:
        raise LmspecError(LOCK, "it is not a valid lock file", REMEDY)
    return pieces


def stage_of(path: str) -> str:
    """The stage that wrote a result: `data/metrics/scores-a/rows.csv` -> `scores-a`; else empty."""
    match = re.search(r"(?:^|/)data/(?:metrics|provenance)/([^/.]+)", path)
    return match[1] if match else ""


def install(root: Path) -> None:
    """Make git use the driver in this clone: .gitattributes (to commit) and git's configuration.

    Raises LmspecError outside a git repository.
    """
    git.run(root, "rev-parse", "--git-dir")  # its error is clearer than that of `git config`
    # -P, as git runs it at the top of the working tree, where a file could shadow a module
    program = f"{shlex.quote(sys.executable)} -P -m lmspec merge-driver".replace("%", "%%")
    _configure(root, "merge.lmspec.driver", f"{program} %O %A %B %P")
    _configure(root, "merge.lmspec.name", NAME)  # last: without a driver git refuses every merge
    path = root / ".gitattributes"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in ATTRIBUTES if line not in text.splitlines()]
    if missing:
        folders.write(path, "\n".join([*text.splitlines(), *missing, ""]))


def _configure(root: Path, key: str, value: str) -> None:
    git.run(root, "config", "--local", key, value)
