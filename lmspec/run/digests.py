"""digests: SHA-256 of files, kept between runs while a file is the one that was hashed.

A file is known by device, inode, size, modification and change time: DVC's links, copies and
restored files have a new inode, and no user can set a change time. A store that is cut short or not
ours counts as empty.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from lmspec.methods import folders
from lmspec.run.declaration import OURS

STORE = OURS / "digests.json"
VERSION = 1
# A file that was written just now can change again within one tick of its file system's clock
# (2 s on FAT, jiffies on ext4), with the same size and times, so its digest is not kept.
SETTLED_NS = 3 * 10**9


class Identity(NamedTuple):
    """What stays the same until a file is written to or replaced.

    Only the change time, which must be the last, can do so without an edit: by a new link or mode.
    """

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "Identity":
        """Of the file that a stat describes."""
        times = stat.st_mtime_ns, stat.st_ctime_ns
        return cls(stat.st_dev, stat.st_ino, stat.st_size, *times)


Digests = dict[str, tuple[Identity, str]]  # path from the root of the project -> its SHA-256


class Store:
    """The digests of one project. `sha256` is a `folders.Hasher`; `save` is for later runs."""

    def __init__(self, root: Path) -> None:
        self._root, self._place = root, root / STORE
        self._known, self._settled = _read(self._place), Digests()

    def sha256(self, file: Path) -> str:
        """Of a file's content, in hex, read only if it is not known."""
        name = os.path.relpath(file, self._root)
        identity, digest = self._known.get(name, (None, ""))
        if identity == Identity.of(file.stat()):
            return digest
        began_ns, identity = time.time_ns(), Identity.of(file.stat())
        digest = folders.of_file(file)
        unchanged = identity == Identity.of(file.stat())
        self._known[name] = identity, digest
        if unchanged and max(identity.modified_ns, identity.changed_ns) < began_ns - SETTLED_NS:
            self._settled[name] = identity, digest
        return digest

    def save(self) -> None:
        """Keep what was hashed. A store that cannot be written costs time, not correctness."""
        if not self._settled:
            return
        # what a stage that runs beside this one has saved meanwhile
        merged = _read(self._place) | self._settled
        files = {
            name: [*identity, digest]
            for name, (identity, digest) in sorted(merged.items())
            if (self._root / name).exists()
        }
        partial = self._place.with_name(f"{self._place.name}.{os.getpid()}.partial")
        with contextlib.suppress(OSError):
            self._place.parent.mkdir(exist_ok=True)
            partial.write_text(json.dumps({"version": VERSION, "files": files}), encoding="utf-8")
            partial.replace(self._place)


def _read(place: Path) -> Digests:
    try:
        document = json.loads(place.read_bytes())
        files = document["files"] if document["version"] == VERSION else {}
        return {name: _entry(*values) for name, values in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _entry(*values: Any) -> tuple[Identity, str]:
    """Raises TypeError or ValueError for anything that `save` does not write."""
    *numbers, digest = values
    if not all(type(number) is int for number in numbers) or len(bytes.fromhex(digest)) != 32:
        raise ValueError(values)
    return Identity(*numbers), digest
