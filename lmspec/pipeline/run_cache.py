"""run_cache: the earlier runs that DVC's run-cache holds."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA  # type: ignore[import-untyped]
from dvc.stage.cache import _get_cache_hash  # type: ignore[import-untyped]
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml  # type: ignore[import-untyped]
from voluptuous import Invalid

Entry = dict[str, Any]
VERBATIM = re.compile(r"[\w ./=-]{1,70}", re.ASCII)  # commands that YAML neither quotes nor wraps


def key(inputs: Entry) -> str:
    """The key under which DVC files a run with these inputs."""
    digest: str = _get_cache_hash(dict(inputs), key=True)
    return digest


class RunCache:
    """Key of the inputs -> the run. Of several runs with the same inputs the newest counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entry(self, key: str, command: Any = None) -> Entry | None:
        """The run of that key; None if there is none, it is corrupt, or it ran another command."""
        folder = self._folder / key[:2] / key
        runs = folder.iterdir() if folder.exists() else ()
        newest = max(runs, key=lambda path: path.stat().st_mtime, default=None)
        if newest is None:
            return None
        verbatim = isinstance(command, str) and VERBATIM.fullmatch(command)
        if verbatim and command.encode() not in newest.read_bytes():
            return None  # takes a hundredth of the time of parsing YAML
        try:
            entry: Entry = COMPILED_LOCK_FILE_STAGE_SCHEMA(load_yaml(str(newest)))
        except (YAMLFileCorruptedError, Invalid):
            return None
        return entry if command in (None, entry["cmd"]) else None

    def remove_empty(self) -> None:
        """Remove folders without a run, on which DVC fails with a TypeError (of `join()`).

        A kill while DVC writes an entry cuts it short; DVC's next run deletes that file, and leaves
        its folder. Hold DVC's lock: DVC makes the folder before the file.
        """
        for folder in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):  # it has runs
                folder.rmdir()

    def of_command(self, command: Any) -> Iterator[tuple[str, Entry]]:
        """(key, run) of each run of that command."""
        for folder in self._folder.glob("??/*"):
            if entry := self.entry(folder.name, command):
                yield folder.name, entry
